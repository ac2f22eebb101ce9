import { parse, Value, Kind } from "./json";
import { fail } from "./log";

/**
 * One value of the configuration and its place in it. What is not as expected is logged
 * with that place ("config.origins[2]: expected a string") and ends the instance, so a
 * policy never runs half configured.
 */
export class Config {
  private asked: Set<string> = new Set<string>();

  constructor(private value: Value, readonly path: string) {}

  /** Reads the configuration; no bytes at all are {}. */
  static parse(text: string): Config {
    return new Config(parse(text.length > 0 ? text : "{}"), "config");
  }

  /** Ends the instance for a problem with this value. */
  refuse(problem: string): void {
    fail(this.path + ": " + problem);
  }

  /** The member of an object, null if it is not there. */
  member(key: string): Config | null {
    this.expect(Kind.Object, "an object");
    this.asked.add(key);
    const member = this.value.member(key);
    return member ? new Config(member, this.path + "." + key) : null;
  }

  /** Refuses members of an object that nobody asked for. */
  finish(): void {
    this.expect(Kind.Object, "an object");
    for (let i = 0; i < this.value.keys.length; i++) {
      const key = this.value.keys[i];
      if (!this.asked.has(key)) fail(this.path + "." + key + ": is not a known key");
    }
  }

  /** The elements of a list. */
  list(): Config[] {
    this.expect(Kind.Array, "a list");
    const list = new Array<Config>();
    for (let i = 0; i < this.value.items.length; i++) {
      list.push(new Config(this.value.items[i], this.path + "[" + i.toString() + "]"));
    }
    return list;
  }

  text(): string {
    this.expect(Kind.String, "a string");
    return this.value.text;
  }

  boolean(): bool {
    if (this.value.kind != Kind.True && this.value.kind != Kind.False) this.refuse("expected true or false");
    return this.value.kind == Kind.True;
  }

  /** A whole number from least to most. */
  integer(least: i64, most: i64): i64 {
    this.expect(Kind.Number, "a number");
    const text = this.value.text;
    let number: i64 = 0;
    let whole = text.length <= 18;
    for (let i = text.charAt(0) == "-" ? 1 : 0; i < text.length; i++) {
      const digit = text.charCodeAt(i) - 48;
      whole = whole && digit >= 0 && digit <= 9;
      number = number * 10 + digit;
    }
    if (text.charAt(0) == "-") number = -number;
    if (!whole || number < least || number > most) {
      this.refuse("expected a whole number from " + least.toString() + " to " + most.toString());
    }
    return number;
  }

  private expect(kind: Kind, what: string): void {
    if (this.value.kind != kind) this.refuse("expected " + what);
  }
}
