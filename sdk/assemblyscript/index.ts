// Policies in AssemblyScript: the http-wasm ABI and a strict reader for configurations. See
// README.md.

export { abort } from "./abort";
export { Config } from "./config";
export { Flow, Headers, Request, Response } from "./exchange";
export { fail, Level, log, logEnabled } from "./log";
export { config, handle_request, handle_response, Policy, register } from "./policy";
