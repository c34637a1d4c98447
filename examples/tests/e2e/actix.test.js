import { scenarios } from "./scenarios.js";

scenarios("actix-app");
