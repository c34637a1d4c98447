// Serves the React app, and hands on to the example what is not of it, as front ends' development servers do.

import { build } from "esbuild";
import { createServer, request } from "node:http";
import { fileURLToPath } from "node:url";

let bundle;

export async function serveReact(app) {
  bundle ??= build({
    entryPoints: [fileURLToPath(new URL("react.jsx", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"development"' },
    logLevel: "error",
  });
  const script = (await bundle).outputFiles[0].text;
  const page = `<!doctype html><html data-emulator="${app.emulator}"><meta charset="utf-8"><title>React</title>
    <link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/react.js"></script>`;
  const server = createServer((asked, answer) => {
    if (asked.url === "/") return answer.setHeader("Content-Type", "text/html").end(page);
    if (asked.url === "/react.js") return answer.setHeader("Content-Type", "text/javascript").end(script);
    const { method, headers } = asked;
    const handedOn = request(app.url + asked.url, { method, headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    handedOn.on("error", () => answer.destroy());
    asked.pipe(handedOn);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
