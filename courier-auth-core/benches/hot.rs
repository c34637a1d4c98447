//! What a request costs whose token is cached: `cargo bench -p courier-auth-core --bench hot
//! --features emulator`.

mod subjects;

use std::{sync::LazyLock, time::Instant};

use divan::{Bencher, black_box};

use self::subjects::{Asked, Subjects, shuffled};

fn main() {
    divan::main();
}

static SUBJECTS: LazyLock<Subjects> = LazyLock::new(Subjects::new);
static USERS: LazyLock<Vec<usize>> = LazyLock::new(shuffled);

/// A run over a hundred users, and every thread over others.
fn over_users<T>(bencher: Bencher<'_, '_>, look: impl Fn(&Asked) -> T + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    LazyLock::force(&SUBJECTS);
    bencher
        .counter(divan::counter::ItemsCount::new(RUN))
        .with_inputs(|| {
            let start = next.fetch_add(RUN, std::sync::atomic::Ordering::Relaxed);
            let run = USERS.iter().cycle().skip(start % USERS.len()).take(RUN);
            run.map(|user| SUBJECTS.asked(*user)).collect::<Vec<_>>()
        })
        .bench_refs(|run| {
            for asked in run {
                black_box(look(asked));
            }
        });
}

#[divan::bench(threads = [1, 2])]
fn token(bencher: Bencher<'_, '_>) {
    over_users(bencher, |asked| SUBJECTS.token(asked));
}

#[divan::bench(threads = [1, 2])]
fn quick_cache_get(bencher: Bencher<'_, '_>) {
    over_users(bencher, |asked| SUBJECTS.quick(asked));
}

#[divan::bench(threads = [1, 2])]
fn moka_future_get(bencher: Bencher<'_, '_>) {
    over_users(bencher, |asked| SUBJECTS.moka(asked));
}

#[divan::bench]
fn endpoint_reply(bencher: Bencher<'_, '_>) {
    over_users(bencher, |asked| SUBJECTS.reply(asked));
}

#[divan::bench]
fn instant_now(bencher: Bencher<'_, '_>) {
    over_users(bencher, |_| Instant::now());
}

const RUN: usize = 100;
