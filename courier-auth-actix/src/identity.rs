use actix_web::Error as ActixError;
use courier_auth_core::{TokenRequest, UserId};

use self::sealed::Sealed;
/// What the hook of a [`CourierAuth`](crate::CourierAuth) may return.
///
/// | returned | means |
/// |---|---|
/// | a string, an integer, a [`UserId`] | this user is signed in |
/// | a [`TokenRequest`] | so is this one, with scopes and a lifetime for this token |
/// | an `Option` of these | `None`: nobody is signed in, which is a 401 |
/// | a `Result` of these | `Err`: the app cannot tell. Its own error is the answer, status and body unchanged |
///
/// Options and results nest: `Result<Option<String>, E>` is what most sessions give. Keep the two
/// apart: a session store that is down is an `Err`. As a `None` it would sign users out.
///
/// An id is not checked here. One that cannot be sent, such as `bob user_id:alice`, is a 500 and
/// an ERROR in the log.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say who is signed in",
    label = "this hook returns `{Self}`",
    note = "a hook returns a user id (`&str`, `String`, `UserId`, or an integer that is `i32` or \
            wider) or a `TokenRequest`; `None` of an `Option` of these if nobody is signed in; or \
            a `Result` of all that, whose error implements actix-web's `ResponseError`",
    note = "an id of another type, such as a UUID: return `id.to_string()`"
)]
pub trait IntoIdentity: Sealed {
    #[doc(hidden)]
    fn into_identity(self) -> Identified;
}

/// Who is signed in, `None` if nobody is, or why the app cannot tell.
pub(crate) type Identified = Result<Option<TokenRequest>, ActixError>;

macro_rules! signed_in {
    ($($identity:ty),*) => {$(
        impl Sealed for $identity {}

        impl IntoIdentity for $identity {
            fn into_identity(self) -> Identified {
                Ok(Some(TokenRequest::for_user(self)))
            }
        }
    )*};
}
signed_in!(&str, String, UserId, i32, i64, i128, u32, u64, u128, usize);

impl Sealed for TokenRequest {}

impl IntoIdentity for TokenRequest {
    fn into_identity(self) -> Identified {
        Ok(Some(self))
    }
}

impl<T: IntoIdentity> Sealed for Option<T> {}

impl<T: IntoIdentity> IntoIdentity for Option<T> {
    fn into_identity(self) -> Identified {
        self.map_or(Ok(None), T::into_identity)
    }
}

impl<T: IntoIdentity, E: Into<ActixError>> Sealed for Result<T, E> {}

impl<T: IntoIdentity, E: Into<ActixError>> IntoIdentity for Result<T, E> {
    fn into_identity(self) -> Identified {
        self.map_err(Into::into)?.into_identity()
    }
}

mod sealed {
    pub trait Sealed {}
}
