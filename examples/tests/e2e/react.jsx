// A React app as the guide has it, with the inbox always there, whoever is signed in.

import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

import { CourierInbox, CourierToast, useCourier } from "@trycourier/courier-react";
import { Courier } from "@trycourier/courier-js";
import { CourierInboxDatastore } from "@trycourier/courier-ui-inbox";
import { CourierToastDatastore } from "@trycourier/courier-ui-toast";

import { startCourierSession } from "../../../courier-auth-core/js/session.js";

const url = document.documentElement.dataset.emulator;
const apiUrls = {
  courier: { rest: url, graphql: `${url}/client/q` },
  inbox: { graphql: `${url}/q`, webSocket: url.replace("http", "ws") },
};

function useCourierSession(user) {
  useEffect(() => {
    if (!user) return;
    const session = startCourierSession({
      courier: Courier.shared,
      inbox: CourierInboxDatastore.shared,
      toast: CourierToastDatastore.shared,
      tokenUrl: "/courier/token",
      apiUrls,
    });
    return () => session.stop();
  }, [user]);
}

function App() {
  const [user, setUser] = useState("");
  useCourierSession(user);
  const { auth } = useCourier();

  async function signIn(event) {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(event.target));
    await fetch("/login", { method: "POST", body });
    setUser(body.get("user"));
  }

  async function signOut() {
    await fetch("/logout", { method: "POST" });
    setUser("");
    Courier.shared.signOut();
  }

  return (
    <>
      <form onSubmit={signIn}>
        <label>or somebody else <input name="user" /></label>
        <button>Sign in</button>
      </form>
      <button onClick={signOut}>Sign out</button>
      <p id="who">{auth.userId ?? "nobody"}</p>
      <CourierInbox height="400px" />
      <CourierToast />
    </>
  );
}

createRoot(document.getElementById("root")).render(<StrictMode><App /></StrictMode>);
