// Pictures of the demo page: `E2E_BINARIES=… node shots.mjs <folder>`.

import { startApp } from "./app.js";
import { startBrowser, Tab } from "./browser.js";

const folder = process.argv[2];
const app = await startApp("axum-app", 60);
const chromium = await startBrowser();
try {
  await app.send("alice", "Welcome", "Your trial ends on Friday");
  for (const [width, height] of [[1280, 900], [390, 844]]) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await chromium.browser.newContext({ viewport: { width, height }, colorScheme });
      const tab = await Tab.open(context);
      await tab.signIn(app, app.url, "alice");
      await tab.sees("Welcome");
      await tab.page.getByRole("button", { name: "Send me one" }).click();
      await tab.page.locator("courier-toast-item").waitFor();
      // The toast slides in.
      await tab.page.waitForTimeout(600);
      const name = `${folder}/${width > 600 ? "wide" : "narrow"}-${colorScheme}`;
      await tab.page.screenshot({ path: `${name}.png` });
      await tab.page.screenshot({ path: `${name}-full.png`, fullPage: true });
      await context.close();
    }
  }
  const context = await chromium.browser.newContext({ viewport: { width: 1280, height: 900 } });
  await context.route("**/sdk/**", (route) => route.abort());
  const tab = await Tab.open(context);
  await tab.page.goto(app.url);
  await tab.page.getByRole("button", { name: "alice" }).click();
  await tab.page.getByText("The inbox needs Courier’s SDK").waitFor();
  await tab.page.waitForTimeout(300);
  await tab.page.screenshot({ path: `${folder}/no-sdk.png` });
} finally {
  await chromium.stop();
  await app.stop();
}
