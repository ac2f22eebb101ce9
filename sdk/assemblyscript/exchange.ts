import * as host from "./host";
import { nameBytes, read, readValues, valueBytes } from "./bytes";

/** What happens to an exchange after a policy's request phase. */
export const enum Flow {
  /** The policy has answered. */
  Answer = 0,
  /** The request goes on. */
  Continue = 1,
}

/** The fields of one side. Names are compared without case. */
export class Headers {
  constructor(private kind: u32) {}

  /** The first value of a field, null if there is none. */
  get(name: string): string | null {
    const values = this.values(name);
    return values.length > 0 ? values[0] : null;
  }

  /** All values of a field, in order. */
  values(name: string): string[] {
    return readValues(this.kind, name);
  }

  /** Leaves a field with one value. */
  set(name: string, value: string): void {
    host.set_header_value(this.kind, nameBytes(name), name.length, valueBytes(value), value.length);
  }

  /** Adds a value to those that are there. */
  add(name: string, value: string): void {
    host.add_header_value(this.kind, nameBytes(name), name.length, valueBytes(value), value.length);
  }

  remove(name: string): void {
    host.remove_header(this.kind, nameBytes(name), name.length);
  }
}

/** The request, which may be changed in its own phase and read in both. */
export class Request {
  headers: Headers = new Headers(0);

  get method(): string {
    return read(host.get_method);
  }

  /** Path and query, encoded. */
  get target(): string {
    return read(host.get_uri);
  }

  /** "HTTP/1.1", "HTTP/2.0" or "HTTP/3.0". */
  get protocol(): string {
    return read(host.get_protocol_version);
  }

  /** Address and port of the client as the host established it: "192.0.2.7:4711". */
  get client(): string {
    return read(host.get_source_addr);
  }
}

/** The response: the policy's own in the request phase, else the one to the request. */
export class Response {
  headers: Headers = new Headers(1);

  get status(): u32 {
    return host.get_status_code();
  }

  set status(status: u32) {
    host.set_status_code(status);
  }

  /** Answers with a text; with none, there is no body. */
  answer(status: u32, body: string = ""): Flow {
    host.set_status_code(status);
    if (body.length > 0) {
      this.headers.set("content-type", "text/plain; charset=utf-8");
      host.write_body(1, valueBytes(body), body.length);
    }
    return Flow.Answer;
  }
}
