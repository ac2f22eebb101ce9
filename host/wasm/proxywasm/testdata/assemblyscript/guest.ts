// A proxy-wasm plugin with the AssemblyScript SDK. What it does is the first
// word of its configuration; ../README.md lists them.

export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
import {
  BaseContext,
  BufferTypeValues,
  call_foreign_function,
  Context,
  continue_request,
  continue_response,
  Counter,
  dequeue_shared_queue,
  enqueue_shared_queue,
  FilterDataStatusValues,
  FilterHeadersStatusValues,
  FilterTrailersStatusValues,
  Gauge,
  get_buffer_bytes,
  get_property,
  get_shared_data,
  Headers,
  Histogram,
  log,
  LogLevelValues,
  makeHeaderPair,
  proxy_set_effective_context,
  register_shared_queue,
  registerRootContext,
  resolve_shared_queue,
  RootContext,
  send_local_response,
  set_buffer_bytes,
  set_property,
  set_shared_data,
  set_tick_period_milliseconds,
  stream_context,
  WasmResultValues,
} from "@gcoredev/proxy-wasm-sdk-as/assembly";

registerRootContext((id: u32) => new Plugin(id), "guest");

class Plugin extends RootContext {
  words: string[] = [];
  paused: u32[] = []; // contexts that the next tick goes on with
  seen: Counter | null = null;
  level: Gauge | null = null;
  sizes: Histogram | null = null;

  word(n: i32): string {
    return n < this.words.length ? this.words[n] : "";
  }

  onConfigure(size: u32): bool {
    super.onConfigure(size);
    this.words = this.getConfiguration().split(" ");
    const what = this.word(0);
    if (what == "" || what == "refuse") {
      return false;
    }
    if (what == "tick") {
      set_tick_period_milliseconds(I32.parseInt(this.word(1)));
    } else if (what == "queue" && this.word(1) == "consume") {
      register_shared_queue(this.word(2));
    } else if (what == "metrics") {
      this.seen = new Counter("seen");
      this.level = new Gauge("level");
      this.sizes = new Histogram("sizes");
    }
    return true;
  }

  onTick(): void {
    for (let i = 0; i < this.paused.length; i++) {
      proxy_set_effective_context(this.paused[i]);
      if (this.word(2) == "request") {
        show("x-ticked", "yes");
        continue_request();
      } else if (this.word(2) == "response") {
        stream_context.headers.response.add("x-ticked", "yes");
        continue_response();
      } else {
        send_local_response(503, "", String.UTF8.encode("ticked"), [], -1);
      }
    }
    this.paused = [];
  }

  onQueueReady(id: u32): void {
    for (;;) {
      const job = dequeue_shared_queue(id);
      if (job.result != WasmResultValues.Ok) {
        return;
      }
      added = String.UTF8.decode(job.data!) + ";";
      change("jobs", (old: string) => old + added);
    }
  }

  createContext(id: u32): Context {
    return new Stream(id, this);
  }
}

let added = ""; // AssemblyScript has no closures

// change replaces a shared value by what f makes of it, as often as it takes.
function change(key: string, f: (old: string) => string): string {
  while (true) {
    const old = get_shared_data(key);
    const value = old.value;
    const next = f(value === null ? "" : String.UTF8.decode(value));
    if (set_shared_data(key, String.UTF8.encode(next), old.cas) != WasmResultValues.CasMismatch) {
      return next;
    }
  }
}

// show tells a result to whoever sees the request behind this plugin.
function show(name: string, value: string): void {
  stream_context.headers.request.add(name, value);
}

class Stream extends Context {
  plugin: Plugin;

  constructor(id: u32, plugin: Plugin) {
    super(id, plugin);
    this.plugin = plugin;
  }

  word(n: i32): string {
    return this.plugin.word(n);
  }

  onRequestHeaders(_: u32, end: bool): FilterHeadersStatusValues {
    const what = this.word(0);
    if (what == "headers") {
      edit(stream_context.headers.request);
    } else if (what == "pairs") {
      stream_context.headers.request.set_headers(rewrite(stream_context.headers.request.get_headers()));
    } else if (what == "pseudo") {
      const path = stream_context.headers.request.get(":path");
      stream_context.headers.request.replace(":method", "PUT");
      stream_context.headers.request.replace(":path", "/moved?from=" + path);
      stream_context.headers.request.replace(":authority", "moved.example");
    } else if (what == "body" && this.word(1) == "request") {
      stream_context.headers.request.remove("content-length");
      if (this.word(2) == "gate" && !end) {
        return FilterHeadersStatusValues.StopIteration;
      }
    } else if (what == "answer") {
      return this.answer();
    } else if (what == "tick" && this.word(2) != "response") {
      this.plugin.paused.push(this.context_id);
      return FilterHeadersStatusValues.StopIteration;
    } else if (what == "call" && this.word(1) == "request") {
      return this.call();
    } else if (what == "count") {
      show("x-count", change("count", (old: string) => (old == "" ? 1 : I32.parseInt(old) + 1).toString()));
    } else if (what == "queue") {
      this.queue();
    } else if (what == "metrics") {
      this.plugin.seen!.increment(1);
      this.plugin.level!.increment(2);
      this.plugin.level!.increment(-1);
      this.plugin.sizes!.record(this.plugin.sizes!.metric_id, 7);
    } else if (what == "property") {
      this.property();
    } else if (what == "foreign") {
      show("x-foreign", "[" + String.UTF8.decode(call_foreign_function(this.word(1), this.word(2))) + "]");
    } else if (what == "log") {
      log(LogLevelValues.info, "at info");
      log(LogLevelValues.error, "at error");
    } else if (what == "panic" && stream_context.headers.request.get("x-panic") == "request") {
      throw new Error("asked to, at the request");
    }
    return FilterHeadersStatusValues.Continue;
  }

  onResponseHeaders(_: u32, end: bool): FilterHeadersStatusValues {
    const what = this.word(0);
    if (what == "headers") {
      edit(stream_context.headers.response);
    } else if (what == "pairs") {
      stream_context.headers.response.set_headers(rewrite(stream_context.headers.response.get_headers()));
    } else if (what == "pseudo") {
      stream_context.headers.response.add("x-status", stream_context.headers.response.get(":status"));
      stream_context.headers.response.replace(":status", "418");
    } else if (what == "body" && this.word(1) == "response") {
      stream_context.headers.response.remove("content-length");
    } else if (what == "answer" && this.word(1) == "response") {
      return this.send("answered");
    } else if (what == "tick" && this.word(2) == "response") {
      this.plugin.paused.push(this.context_id);
      return FilterHeadersStatusValues.StopIteration;
    }
    return FilterHeadersStatusValues.Continue;
  }

  onRequestBody(size: usize, end: bool): FilterDataStatusValues {
    if (this.word(0) == "answer" && this.word(1) == "body") {
      if (end) {
        this.send(String.UTF8.decode(get_buffer_bytes(BufferTypeValues.HttpRequestBody, 0, <u32>size)));
      }
      return FilterDataStatusValues.StopIterationAndBuffer;
    }
    if (this.word(0) != "body" || this.word(1) != "request") {
      return FilterDataStatusValues.Continue;
    }
    if (this.word(2) == "gate" && end) {
      show("x-body", String.UTF8.decode(get_buffer_bytes(BufferTypeValues.HttpRequestBody, 0, <u32>size)));
      return FilterDataStatusValues.Continue;
    }
    return this.change(BufferTypeValues.HttpRequestBody, <u32>size, end);
  }

  onResponseBody(size: usize, end: bool): FilterDataStatusValues {
    if (this.word(0) != "body" || this.word(1) != "response") {
      return FilterDataStatusValues.Continue;
    }
    return this.change(BufferTypeValues.HttpResponseBody, <u32>size, end);
  }

  change(which: BufferTypeValues, size: u32, end: bool): FilterDataStatusValues {
    const how = this.word(2);
    if (how != "stream" && !end) {
      return FilterDataStatusValues.StopIterationAndBuffer;
    }
    if (how == "stream" || how == "upper") {
      const text = String.UTF8.decode(get_buffer_bytes(which, 0, size)).toUpperCase();
      set_buffer_bytes(which, 0, size, String.UTF8.encode(text));
    } else if (how == "replace") {
      set_buffer_bytes(which, 0, size, String.UTF8.encode("replaced"));
    } else if (how == "append") {
      set_buffer_bytes(which, size, 0, String.UTF8.encode("<tail>"));
    } else if (how == "prepend") {
      set_buffer_bytes(which, 0, 0, String.UTF8.encode("<head>"));
    }
    return FilterDataStatusValues.Continue;
  }

  onRequestTrailers(_: u32): FilterTrailersStatusValues {
    if (this.word(0) == "trailers") {
      edit(stream_context.trailers.request);
    }
    return FilterTrailersStatusValues.Continue;
  }

  onResponseTrailers(_: u32): FilterTrailersStatusValues {
    if (this.word(0) == "trailers") {
      edit(stream_context.trailers.response);
    }
    return FilterTrailersStatusValues.Continue;
  }

  onLog(): void {
    if (this.word(0) == "done") {
      const method = stream_context.headers.request.get(":method");
      const status = stream_context.headers.response.get(":status");
      log(LogLevelValues.info, "done " + method + " " + (status == "" ? "none" : status));
    }
  }

  answer(): FilterHeadersStatusValues {
    if (this.word(1) == "headers") {
      return this.send("answered");
    }
    if (this.word(1) == "twice") {
      this.send("first");
      return this.send("second");
    }
    return FilterHeadersStatusValues.Continue;
  }

  send(text: string): FilterHeadersStatusValues {
    const fields = [makeHeaderPair("X-Answer", "1"), makeHeaderPair("X-Answer", "2")];
    const grpc = this.word(3) == "" ? -1 : I32.parseInt(this.word(3));
    send_local_response(I32.parseInt(this.word(2)), "", String.UTF8.encode(text), fields, grpc);
    return FilterHeadersStatusValues.StopIteration;
  }

  call(): FilterHeadersStatusValues {
    const head = [
      makeHeaderPair(":method", "POST"),
      makeHeaderPair(":path", this.word(3)),
      makeHeaderPair(":authority", "callee.example"),
      makeHeaderPair("x-call", "a"),
      makeHeaderPair("x-call", "b"),
    ];
    const trailers = [makeHeaderPair("x-call-trailer", "t")];
    const result = this.plugin.httpCall(
      this.word(2), head, String.UTF8.encode("ping"), trailers, I32.parseInt(this.word(4)), this,
      (origin: BaseContext, headers: u32, size: usize, trailers: u32) => {
        outcome(headers, <u32>size, trailers);
        continue_request();
      },
    );
    if (result != WasmResultValues.Ok) {
      show("x-called", "refused");
      return FilterHeadersStatusValues.Continue;
    }
    return FilterHeadersStatusValues.StopIteration;
  }

  queue(): void {
    const jobs = get_shared_data("jobs");
    if (jobs.result == WasmResultValues.Ok) {
      show("x-jobs", String.UTF8.decode(jobs.value!));
    }
    if (this.word(1) != "produce") {
      return;
    }
    const queue = resolve_shared_queue(this.word(3), this.word(2));
    if (queue.result != WasmResultValues.Ok) {
      show("x-queued", "not found");
      return;
    }
    enqueue_shared_queue(queue.token, String.UTF8.encode(stream_context.headers.request.get("x-job")));
    show("x-queued", "yes");
  }

  property(): void {
    for (let i = 1; i < this.plugin.words.length; i++) {
      const parts = this.word(i).split("=");
      const path = parts[0].split(".").join("\0");
      if (parts.length > 1) {
        set_property(path, String.UTF8.encode(parts[1]));
      }
      const found = String.UTF8.decode(get_property(path));
      show("x-property", parts[0] + (found == "" ? "?" : "=" + found));
    }
  }
}

// outcome shows what a call came to.
function outcome(headers: u32, size: u32, trailers: u32): void {
  if (headers == 0) {
    show("x-called", "failed");
    return;
  }
  show("x-called", stream_context.headers.http_callback.get(":status"));
  copy(stream_context.headers.http_callback.get_headers(), "x-reply");
  if (size > 0) {
    show("x-call-body", String.UTF8.decode(get_buffer_bytes(BufferTypeValues.HttpCallResponseBody, 0, size)));
  }
  if (trailers > 0) {
    copy(stream_context.trailers.http_callback.get_headers(), "x-reply-trailer");
  }
}

function copy(all: Headers, name: string): void {
  for (let i = 0; i < all.length; i++) {
    if (String.UTF8.decode(all[i].key) == name) {
      show(name, String.UTF8.decode(all[i].value));
    }
  }
}

// edit reads, adds, replaces and removes in one of the four maps.
function edit<T>(map: T): void {
  map.add("x-first", map.get("x-in"));
  map.add("x-all", joined(map.get_headers()));
  map.add("x-added", "one");
  map.add("x-added", "two");
  map.replace("x-replaced", "new");
  map.remove("x-removed");
}

// joined returns the values of x-in.
function joined(all: Headers): string {
  let values: string[] = [];
  for (let i = 0; i < all.length; i++) {
    if (String.UTF8.decode(all[i].key) == "x-in") {
      values.push(String.UTF8.decode(all[i].value));
    }
  }
  return values.join("|");
}

// rewrite returns fields without x-drop-*, with two of x-pair.
function rewrite(all: Headers): Headers {
  let kept: Headers = [];
  for (let i = 0; i < all.length; i++) {
    if (!String.UTF8.decode(all[i].key).startsWith("x-drop-")) {
      kept.push(all[i]);
    }
  }
  kept.push(makeHeaderPair("x-pair", "a"));
  kept.push(makeHeaderPair("x-pair", "b"));
  return kept;
}
