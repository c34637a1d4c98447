// Checked by the TypeScript compiler and never run: session.d.ts with the SDK's own types.

import { Courier, getCourierApiUrlsForRegion } from "@trycourier/courier-js";
import { CourierInboxDatastore, Courier as InboxCourier } from "@trycourier/courier-ui-inbox";
import { CourierToastDatastore } from "@trycourier/courier-ui-toast";
import {
  startCourierSession,
  type CourierSession,
  type CourierSessionError,
  type CourierSessionOptions,
} from "courier-auth-session";

startCourierSession({ courier: Courier.shared });
startCourierSession({ courier: InboxCourier.shared });

const session: CourierSession = startCourierSession({
  courier: Courier.shared,
  inbox: CourierInboxDatastore.shared,
  toast: CourierToastDatastore.shared,
  tokenUrl: "https://api.example.com/courier/token",
  tenantId: "acme",
  apiUrls: getCourierApiUrlsForRegion("eu"),
  credentials: "include",
  headers: { Authorization: "Bearer x" },
  onSignedOut: () => location.replace("/login"),
  onError: (error: CourierSessionError) => console.warn(error.message, error.status, error.retryIn?.toFixed(), error.cause),
});
const signedIn: Promise<boolean> = session.ready;
const refreshed: Promise<void> = session.refresh();
session.stop();

export const others: CourierSessionOptions[] = [
  { courier: Courier.shared, tokenUrl: new URL("https://example.com/courier/token"), fetch },
  { courier: Courier.shared, headers: async () => ({ Authorization: `Bearer ${await refreshed}` }) },
  { courier: Courier.shared, headers: () => new Headers(), fetch: async (_url, _init) => new Response() },
  { courier: { signIn: ({ userId, jwt }) => void [userId, jwt, signedIn], signOut() {} }, tenantId: undefined },
];

// Options of an app's own, handed on: what is not set is `undefined`, also with `exactOptionalPropertyTypes`.
type Handed = { [Name in Exclude<keyof CourierSessionOptions, "courier">]: CourierSessionOptions[Name] | undefined };
export const handOn = (given: Handed) => startCourierSession({ courier: Courier.shared, ...given });

// @ts-expect-error: `courier` must be given
startCourierSession({});
// @ts-expect-error: no such option
startCourierSession({ courier: Courier.shared, userId: "user-1" });
// @ts-expect-error: the store itself, not its class
startCourierSession({ courier: Courier.shared, inbox: CourierInboxDatastore });
// @ts-expect-error: no token is to be had from it
session.token;
