import { scenarios } from "./scenarios.js";

scenarios("axum-app");
