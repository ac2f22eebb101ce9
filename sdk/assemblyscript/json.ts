// A strict reader of JSON (RFC 8259). Text is bytes, here as everywhere in this SDK.

import { fail } from "./log";

/** Deepest nesting that is read. */
const MAX_DEPTH = 64;

export const enum Kind {
  Null,
  True,
  False,
  Number,
  String,
  Array,
  Object,
}

export class Value {
  /** Of a string, without its escapes; of a number, as it was written. */
  text: string = "";
  /** Elements of an array, values of an object. */
  items: Value[] = [];
  /** Keys of an object, in the order of its values. */
  keys: string[] = [];

  constructor(readonly kind: Kind) {}

  member(key: string): Value | null {
    const index = this.keys.indexOf(key);
    return index < 0 ? null : this.items[index];
  }
}

/** Reads one value and nothing behind it. */
export function parse(text: string): Value {
  const parser = new Parser(text);
  const value = parser.value(MAX_DEPTH);
  parser.space();
  if (parser.at < text.length) parser.expected("the end");
  return value;
}

class Parser {
  at: i32 = 0;

  constructor(private text: string) {}

  /** Ends the instance: there is nothing to configure it by. */
  expected(what: string): void {
    fail("config: not valid JSON: expected " + what + " at byte " + this.at.toString());
  }

  space(): void {
    while (this.is(" ") || this.is("\t") || this.is("\n") || this.is("\r")) this.at++;
  }

  value(depth: i32): Value {
    if (depth == 0) this.expected("less nesting");
    this.space();
    if (this.skip("{")) return this.object(depth);
    if (this.skip("[")) return this.array(depth);
    if (this.is('"')) return this.textual(Kind.String, this.string());
    if (this.word("true")) return new Value(Kind.True);
    if (this.word("false")) return new Value(Kind.False);
    if (this.word("null")) return new Value(Kind.Null);
    return this.textual(Kind.Number, this.number());
  }

  private textual(kind: Kind, text: string): Value {
    const value = new Value(kind);
    value.text = text;
    return value;
  }

  private peek(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : -1;
  }

  private is(character: string): bool {
    return this.peek() == character.charCodeAt(0);
  }

  private skip(character: string): bool {
    const found = this.is(character);
    if (found) this.at++;
    return found;
  }

  private word(word: string): bool {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  private array(depth: i32): Value {
    const array = new Value(Kind.Array);
    this.space();
    if (this.skip("]")) return array;
    do {
      array.items.push(this.value(depth - 1));
      this.space();
    } while (this.skip(","));
    if (!this.skip("]")) this.expected("',' or ']'");
    return array;
  }

  private object(depth: i32): Value {
    const object = new Value(Kind.Object);
    this.space();
    if (this.skip("}")) return object;
    do {
      this.space();
      const key = this.string();
      if (object.keys.includes(key)) this.expected("no key twice");
      this.space();
      if (!this.skip(":")) this.expected("':'");
      object.keys.push(key);
      object.items.push(this.value(depth - 1));
      this.space();
    } while (this.skip(","));
    if (!this.skip("}")) this.expected("',' or '}'");
    return object;
  }

  private number(): string {
    const start = this.at;
    this.skip("-");
    if (!this.skip("0")) this.digits();
    if (this.skip(".")) this.digits();
    if (this.skip("e") || this.skip("E")) {
      if (!this.skip("+")) this.skip("-");
      this.digits();
    }
    return this.text.substring(start, this.at);
  }

  private digits(): void {
    const start = this.at;
    while (this.peek() >= 48 && this.peek() <= 57) this.at++;
    if (this.at == start) this.expected("a value");
  }

  private string(): string {
    if (!this.skip('"')) this.expected("a string");
    let text = this.plain();
    while (!this.skip('"')) {
      if (!this.skip("\\")) this.expected("the end of a string");
      text += this.escape();
      text += this.plain();
    }
    return text;
  }

  /** Text up to a quotation mark, an escape, or what may not be there. */
  private plain(): string {
    const start = this.at;
    while (this.peek() >= 0x20 && !this.is('"') && !this.is("\\")) this.at++;
    return this.text.substring(start, this.at);
  }

  private escape(): string {
    const name = this.peek() < 0 ? "" : this.text.charAt(this.at++);
    const index = name == "" ? -1 : '"\\/bfnrt'.indexOf(name);
    if (index >= 0) return '"\\/\b\f\n\r\t'.charAt(index);
    if (name != "u") this.expected("a known escape");
    let unit = this.hexadecimal();
    if (unit >= 0xd800 && unit < 0xdc00 && this.word("\\u")) {
      const low = this.hexadecimal();
      if (low < 0xdc00 || low > 0xdfff) this.expected("the other half of a character");
      unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    } else if (unit >= 0xd800 && unit <= 0xdfff) {
      this.expected("both halves of a character");
    }
    return utf8(unit);
  }

  private hexadecimal(): i32 {
    let unit = 0;
    for (let i = 0; i < 4; i++) {
      const index = this.peek() < 0 ? -1 : "0123456789abcdefABCDEF".indexOf(this.text.charAt(this.at));
      const digit = index < 16 ? index : index - 6;
      if (digit < 0) this.expected("four hexadecimal digits");
      unit = (unit << 4) | digit;
      this.at++;
    }
    return unit;
  }
}

/** The bytes of a character. */
function utf8(character: i32): string {
  if (character < 0x80) return String.fromCharCode(character);
  const more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  const lead = more == 1 ? 0xc0 : more == 2 ? 0xe0 : 0xf0;
  let bytes = String.fromCharCode(lead | (character >> (6 * more)));
  for (let i = more - 1; i >= 0; i--) bytes += String.fromCharCode(0x80 | ((character >> (6 * i)) & 0x3f));
  return bytes;
}
