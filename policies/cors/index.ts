// Says which other sites' pages may read responses: the CORS protocol of the Fetch
// standard. See README.md.

import { Config, config, Flow, Policy, register, Request, Response } from "../../sdk/assemblyscript/index";
import { listHas, Names } from "./names";
import { Origins } from "./origins";

export { handle_request, handle_response } from "../../sdk/assemblyscript/index";

const ALLOW_ORIGIN = "access-control-allow-origin";
const ALLOW_CREDENTIALS = "access-control-allow-credentials";
const ALLOW_METHODS = "access-control-allow-methods";
const ALLOW_HEADERS = "access-control-allow-headers";
const ALLOW_NETWORK = "access-control-allow-private-network";
const EXPOSE_HEADERS = "access-control-expose-headers";
const MAX_AGE = "access-control-max-age";

const REQUEST_METHOD = "access-control-request-method";
const REQUEST_HEADERS = "access-control-request-headers";
const REQUEST_NETWORK = "access-control-request-private-network";

/** What only this policy says. */
const OURS = [ALLOW_ORIGIN, ALLOW_CREDENTIALS, ALLOW_METHODS, ALLOW_HEADERS, ALLOW_NETWORK, EXPOSE_HEADERS, MAX_AGE];

class Cors extends Policy {
  private origins: Origins;
  private methods: Names;
  private requestHeaders: Names;
  private exposed: Names;
  private credentials: bool;
  private privateNetwork: bool;
  private passes: bool;
  private maxAge: string = "";

  constructor(config: Config) {
    super();
    const origins = config.member("origins");
    if (!origins) config.refuse("origins is missing");
    this.origins = new Origins(origins!);
    this.methods = new Names(config, "methods", false);
    this.requestHeaders = new Names(config, "request_headers", true);
    this.exposed = new Names(config, "exposed_headers", true);
    this.credentials = flag(config, "credentials");
    this.privateNetwork = flag(config, "private_network");
    const preflight = config.member("preflight");
    this.passes = preflight != null && preflight.text() == "pass";
    const maxAge = config.member("max_age");
    if (maxAge) this.maxAge = maxAge.integer(0, 86400).toString();
    config.finish();
    if (this.credentials && this.origins.any) {
      config.refuse('has credentials with origins "*": every site could act as its visitors here');
    }
    if (this.credentials && this.exposed.any) {
      config.refuse('has credentials with exposed_headers "*", which browsers then take for a name');
    }
  }

  request(request: Request, response: Response): Flow {
    if (this.passes || !isPreflight(request)) return Flow.Continue;
    response.headers.set("vary", "origin, " + REQUEST_METHOD + ", " + REQUEST_HEADERS);
    const origin = this.allowed(request);
    if (origin.length == 0) return response.answer(403, "this origin has no access\n");
    const method = one(request, REQUEST_METHOD);
    if (!isSimple(method) && !this.methods.has(method)) return response.answer(403, "this method is not for other origins\n");
    const names = request.headers.values(REQUEST_HEADERS).join(",");
    if (!this.requestHeaders.hasAll(names)) return response.answer(403, "these fields are not for other origins\n");
    this.grant(response, origin);
    this.grantRequest(request, response, method, names);
    return response.answer(204);
  }

  response(request: Request, response: Response, failed: bool): void {
    if (this.passes && isPreflight(request)) return;
    for (let i = 0; i < OURS.length; i++) response.headers.remove(OURS[i]);
    if (!this.origins.any) addVary(response);
    const origin = this.allowed(request);
    if (origin.length == 0) return;
    this.grant(response, origin);
    if (this.exposed.text.length > 0) response.headers.set(EXPOSE_HEADERS, this.exposed.text);
  }

  /** What to allow as the origin, nothing if it has no access. */
  private allowed(request: Request): string {
    if (this.origins.any) return "*";
    const origin = one(request, "origin");
    return this.origins.has(origin) ? origin : "";
  }

  private grant(response: Response, origin: string): void {
    response.headers.set(ALLOW_ORIGIN, origin);
    if (this.credentials) response.headers.set(ALLOW_CREDENTIALS, "true");
  }

  /**
   * What a preflight asked for, where any will do: "*" has neither Authorization in it nor
   * anything of a request with credentials.
   */
  private grantRequest(request: Request, response: Response, method: string, names: string): void {
    const methods = this.methods.any ? method : this.methods.text;
    if (methods.length > 0) response.headers.set(ALLOW_METHODS, methods);
    const allowed = this.requestHeaders.any ? names : this.requestHeaders.text;
    if (allowed.length > 0) response.headers.set(ALLOW_HEADERS, allowed);
    if (this.maxAge.length > 0) response.headers.set(MAX_AGE, this.maxAge);
    if (this.privateNetwork && one(request, REQUEST_NETWORK) == "true") response.headers.set(ALLOW_NETWORK, "true");
  }
}

function flag(config: Config, key: string): bool {
  const member = config.member(key);
  return member != null && member.boolean();
}

/** The value of a field that is there once. */
function one(request: Request, name: string): string {
  const values = request.headers.values(name);
  return values.length == 1 ? values[0] : "";
}

function isPreflight(request: Request): bool {
  return request.method == "OPTIONS" && request.headers.get("origin") != null && request.headers.get(REQUEST_METHOD) != null;
}

/** Methods that need no preflight, and no leave. */
function isSimple(method: string): bool {
  return method == "GET" || method == "HEAD" || method == "POST";
}

function addVary(response: Response): void {
  const values = response.headers.values("vary");
  for (let i = 0; i < values.length; i++) {
    if (listHas(values[i], "origin", "*")) return;
  }
  response.headers.add("vary", "origin");
}

register(new Cors(config()));
