import { Config } from "../../sdk/assemblyscript/index";

/** The origins that may read responses. */
export class Origins {
  /** Any origin at all. */
  any: bool = false;
  private exact: Set<string> = new Set<string>();
  private wildcards: Wildcard[] = [];

  /** Reads the list of the configuration. */
  constructor(list: Config) {
    const elements = list.list();
    if (elements.length == 0) list.refuse("expected at least one origin");
    for (let i = 0; i < elements.length; i++) this.add(elements[i]);
    if (this.any && elements.length > 1) list.refuse('says "*", which has all the others in it');
  }

  private add(element: Config): void {
    const text = element.text();
    if (text == "*") {
      this.any = true;
    } else if (text == "null") {
      this.exact.add(text);
    } else {
      const origin = new Origin(element);
      if (origin.wildcard) this.wildcards.push(new Wildcard(origin));
      else this.exact.add(text);
    }
  }

  /** Whether an origin is in the list. */
  has(origin: string): bool {
    if (this.any || this.exact.has(origin)) return true;
    for (let i = 0; i < this.wildcards.length; i++) {
      if (this.wildcards[i].matches(origin)) return true;
    }
    return false;
  }
}

/** An origin of the configuration, checked to be as browsers write one (RFC 6454, 6.2). */
class Origin {
  /** Up to the host, "https://". */
  scheme: string;
  /** Host and port; without "*" if it begins with that. */
  rest: string;
  wildcard: bool;

  constructor(element: Config) {
    const text = element.text();
    const end = text.indexOf("://");
    this.scheme = text.substring(0, end + 3);
    this.rest = text.substring(end + 3);
    this.wildcard = this.rest.startsWith("*.");
    if (this.wildcard) this.rest = this.rest.substring(1);
    if (end <= 0 || !isScheme(text.substring(0, end)) || !isAuthority(this.rest)) {
      element.refuse('expected an origin in lower case, such as "https://app.example.com" or "https://*.example.com:8443"');
    }
    const port = this.scheme == "https://" ? ":443" : this.scheme == "http://" ? ":80" : "";
    if (port.length > 0 && this.rest.endsWith(port)) {
      element.refuse("says the port that browsers leave out: write it without " + port);
    }
  }
}

/** Origins on a host's subdomains, at any depth. */
class Wildcard {
  constructor(private pattern: Origin) {}

  matches(origin: string): bool {
    const scheme = this.pattern.scheme;
    const rest = this.pattern.rest;
    if (!origin.startsWith(scheme) || !origin.endsWith(rest)) return false;
    const end = origin.length - rest.length;
    let label = 0; // how long it is
    for (let i = scheme.length; i < end; i++) {
      const character = origin.charCodeAt(i);
      if (character == Dot && label == 0) return false;
      if (character != Dot && !isHostCharacter(character)) return false;
      label = character == Dot ? 0 : label + 1;
    }
    return label > 0;
  }
}

const Dot: i32 = 0x2e;
const Colon: i32 = 0x3a;

function isDigit(character: i32): bool {
  return character >= 0x30 && character <= 0x39;
}

function isLower(character: i32): bool {
  return character >= 0x61 && character <= 0x7a;
}

function isHostCharacter(character: i32): bool {
  return isDigit(character) || isLower(character) || character == 0x2d || character == 0x5f; // - and _
}

function isScheme(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i);
    const later = isDigit(character) || character == 0x2b || character == 0x2d || character == Dot; // + and -
    if (!isLower(character) && !(i > 0 && later)) return false;
  }
  return true;
}

/** A host and, if there is one, a port. An IPv6 address stands in brackets. */
function isAuthority(text: string): bool {
  let end = 0;
  if (text.startsWith("[")) {
    end = text.indexOf("]") + 1;
    for (let i = 1; i < end - 1; i++) {
      const character = text.charCodeAt(i);
      if (!isDigit(character) && !(character >= 0x61 && character <= 0x66) && character != Colon && character != Dot) return false;
    }
  } else {
    while (end < text.length && (isHostCharacter(text.charCodeAt(end)) || text.charCodeAt(end) == Dot)) end++;
  }
  if (end == 0 || end == text.length) return end > 0;
  if (text.charCodeAt(end) != Colon || end + 1 == text.length || text.length - end > 6) return false;
  for (let i = end + 1; i < text.length; i++) {
    if (!isDigit(text.charCodeAt(i))) return false;
  }
  return true;
}
