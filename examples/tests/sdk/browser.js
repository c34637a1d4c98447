// As much of a browser as courier-js needs under node. To be imported before it.

import WebSocket from "ws";

globalThis.window = globalThis;
globalThis.WebSocket = WebSocket;
