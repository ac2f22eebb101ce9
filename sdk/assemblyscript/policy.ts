import * as host from "./host";
import { read } from "./bytes";
import { Config } from "./config";
import { Flow, Request, Response } from "./exchange";
import { fail } from "./log";

/**
 * One policy: made once in each instance, then asked about one exchange after another.
 * What it keeps of an exchange is gone, or somebody else's, in the response phase if its
 * policy.toml says `stateless`.
 */
export class Policy {
  /** Decides about a request. */
  request(request: Request, response: Response): Flow {
    return Flow.Continue;
  }

  /**
   * Sees the response to a request that this policy let pass; failed says that nothing
   * behind it could answer.
   */
  response(request: Request, response: Response, failed: bool): void {}
}

const request = new Request();
const response = new Response();
let registered: Policy | null = null;

/** The configuration, for the policy that is registered. */
export function config(): Config {
  return Config.parse(read(host.get_config));
}

/** Makes a policy the one of this module. */
export function register(policy: Policy): void {
  registered = policy;
}

function policy(): Policy {
  if (!registered) fail("no policy is registered");
  return registered!;
}

/** Exported by the module that a policy is. */
export function handle_request(): u64 {
  return <u64>policy().request(request, response);
}

/** Exported by the module that a policy is. */
export function handle_response(context: u32, failed: u32): void {
  policy().response(request, response, failed != 0);
}
