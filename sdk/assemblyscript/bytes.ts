// Bytes on their way from the host and to it. A string of this SDK holds bytes, one in
// each character, as the Fetch standard has it for the values of fields: nothing is lost,
// and nothing is decoded that nobody looks at.

import * as host from "./host";

// Where the host writes to and reads from. A room is made larger when something does not
// fit in.
let room = new Uint8Array(2048);
let nameRoom = new Uint8Array(64);
let valueRoom = new Uint8Array(512);

/** Where names of the program text are written, by where they stand in it. */
const names = new Map<usize, usize>();

/** Asks one of the host's getters, and once more where there was too little room. */
export function read(get: (buffer: usize, limit: usize) => usize): string {
  const length = <i32>get(room.dataStart, room.length);
  if (length > room.length) {
    room = new Uint8Array(length);
    get(room.dataStart, length);
  }
  return text(room.dataStart, length);
}

/** The values of a field, in order. */
export function readValues(kind: u32, name: string): string[] {
  const bytes = nameBytes(name);
  const got = host.get_header_values(kind, bytes, name.length, room.dataStart, room.length);
  const length = <i32>(got & 0xffffffff);
  if (length > room.length) {
    room = new Uint8Array(length);
    host.get_header_values(kind, bytes, name.length, room.dataStart, length);
  }
  const values = new Array<string>(<i32>(got >> 32));
  let start = room.dataStart;
  for (let i = 0; i < values.length; i++) {
    let end = start;
    while (load<u8>(end) != 0) end++;
    values[i] = text(start, <i32>(end - start));
    start = end + 1;
  }
  return values;
}

function text(bytes: usize, length: i32): string {
  // @ts-ignore: of the runtime
  const made = __new(<usize>length << 1, idof<string>());
  for (let i: usize = 0; i < <usize>length; i++) store<u16>(made + (i << 1), load<u8>(bytes + i));
  return changetype<string>(made);
}

/**
 * Writes a name where the host can read it, until the next one. A name of the program text
 * is written once: the host knows it again by its place.
 */
export function nameBytes(name: string): usize {
  const at = changetype<usize>(name);
  if (at < __heap_base) {
    if (!names.has(at)) names.set(at, write(name, heap.alloc(name.length)));
    return names.get(at);
  }
  if (name.length > nameRoom.length) nameRoom = new Uint8Array(name.length);
  return write(name, nameRoom.dataStart);
}

/** Writes what is no name where the host can read it, until the next one. */
export function valueBytes(value: string): usize {
  if (value.length > valueRoom.length) valueRoom = new Uint8Array(value.length);
  return write(value, valueRoom.dataStart);
}

function write(text: string, to: usize): usize {
  for (let i = 0; i < text.length; i++) store<u8>(to + i, <u8>text.charCodeAt(i));
  return to;
}
