import * as host from "./host";
import { valueBytes } from "./bytes";

export const enum Level {
  Debug = -1,
  Info = 0,
  Warn = 1,
  Error = 2,
}

/** Whether anybody reads lines of a level. */
export function logEnabled(level: Level): bool {
  return host.log_enabled(level) != 0;
}

/** Writes a line to the host's log. */
export function log(level: Level, message: string): void {
  host.log(level, valueBytes(message), message.length);
}

/**
 * Logs why the policy cannot go on, and ends the instance: the failure rule of the stage
 * decides, or the configuration is refused.
 */
export function fail(reason: string): void {
  log(Level.Error, reason);
  unreachable();
}
