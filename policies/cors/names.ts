import { Config } from "../../sdk/assemblyscript/index";

/** A list of methods or of names of fields, or any of them. */
export class Names {
  any: bool = false;
  private names: Set<string> = new Set<string>();
  /** As a field says it. */
  text: string = "";

  /** Reads the list that is a member, or none. Names of fields are compared without case. */
  constructor(config: Config, member: string, private caseless: bool) {
    const list = config.member(member);
    if (list) this.read(list);
  }

  private read(list: Config): void {
    const elements = list.list();
    for (let i = 0; i < elements.length; i++) {
      const name = elements[i].text();
      if (!isToken(name)) elements[i].refuse("expected a name, or *");
      this.any = this.any || name == "*";
      this.names.add(this.key(name));
    }
    if (this.any && elements.length > 1) list.refuse('says "*", which has all the others in it');
    this.text = this.names.values().join(", ");
  }

  has(name: string): bool {
    return this.any || this.names.has(this.key(name));
  }

  /** Whether all names of a list, separated by commas, are among these. */
  hasAll(list: string): bool {
    const parts = list.split(",");
    for (let i = 0; i < parts.length; i++) {
      const name = trim(parts[i]);
      if (name.length > 0 && (!isToken(name) || !this.has(name))) return false;
    }
    return true;
  }

  private key(name: string): string {
    return this.caseless ? lower(name) : name;
  }
}

/** Whether a field that is a list has one of two names; these are in lower case. */
export function listHas(list: string, one: string, other: string): bool {
  for (let start = 0; start <= list.length; ) {
    let end = list.indexOf(",", start);
    if (end < 0) end = list.length;
    if (is(list, start, end, one) || is(list, start, end, other)) return true;
    start = end + 1;
  }
  return false;
}

/** Whether a part of a list is a name, but for case and spaces around it. */
function is(list: string, start: i32, end: i32, name: string): bool {
  while (start < end && isSpace(list.charCodeAt(start))) start++;
  while (start < end && isSpace(list.charCodeAt(end - 1))) end--;
  if (end - start != name.length) return false;
  for (let i = 0; i < name.length; i++) {
    if (lowerCharacter(list.charCodeAt(start + i)) != name.charCodeAt(i)) return false;
  }
  return true;
}

const MARKS = "!#$%&'*+-.^_`|~";

/** Whether a text is a token of RFC 9110, 5.6.2. */
export function isToken(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i);
    const alphanumeric =
      (character >= 0x30 && character <= 0x39) || ((character | 0x20) >= 0x61 && (character | 0x20) <= 0x7a);
    if (!alphanumeric && !MARKS.includes(text.charAt(i))) return false;
  }
  return text.length > 0;
}

/** In lower case, of ASCII alone: the library's own brings the tables of Unicode. */
function lower(text: string): string {
  const codes = new Array<i32>(text.length);
  for (let i = 0; i < text.length; i++) codes[i] = lowerCharacter(text.charCodeAt(i));
  return String.fromCharCodes(codes);
}

function lowerCharacter(character: i32): i32 {
  return character >= 0x41 && character <= 0x5a ? character | 0x20 : character;
}

function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (start < end && isSpace(text.charCodeAt(end - 1))) end--;
  return text.substring(start, end);
}

function isSpace(character: i32): bool {
  return character == 0x20 || character == 0x09;
}
