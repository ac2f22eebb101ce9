import * as host from "./host";

const LIMIT: usize = 256;
const room = memory.data(256);

/**
 * Logs why the program fails of itself, and ends the instance: `--use abort=...`. It is
 * called by the runtime too, when there is no memory, so it takes none.
 */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  let end = append(room, file);
  end = append(end, ": ");
  end = append(end, message);
  host.log(2, room, end - room);
  unreachable();
}

function append(to: usize, text: string | null): usize {
  if (!text) return to;
  for (let i = 0; i < text.length && to < room + LIMIT; i++) store<u8>(to++, <u8>text.charCodeAt(i));
  return to;
}
