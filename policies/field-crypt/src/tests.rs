//! What must hold for documents as a whole, whatever pieces they come in.

use crate::automaton::Automaton;
use crate::path::Path;
use crate::refusal::Refusal;
use crate::rewrite::{Change, Held, Rewriter};
use crate::scan::MAX_DEPTH;

/// A buffer of the host, and what went on from it.
#[derive(Default)]
struct Buffer {
    held: Vec<u8>,
    gone: Vec<u8>,
}

impl Held for Buffer {
    fn bytes(&self, start: usize, end: usize) -> Vec<u8> {
        self.held[start..end].to_vec()
    }

    fn replace(&mut self, start: usize, bytes: &[u8]) {
        self.held.truncate(start);
        self.held.extend_from_slice(bytes);
    }
}

/// Puts values between angle brackets, but for those that begin with `"keep`.
struct Mark;

impl Change for Mark {
    fn change(&mut self, query: usize, value: &[u8], out: &mut Vec<u8>) -> Result<bool, Refusal> {
        if value.starts_with(b"\"keep") {
            return Ok(false);
        }
        out.extend_from_slice(format!("<{query}:").as_bytes());
        out.extend_from_slice(value);
        out.push(b'>');
        Ok(true)
    }
}

const MOST: usize = 64;

fn automaton(paths: &[&str]) -> Automaton {
    let paths: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
    Automaton::compile(&paths).unwrap()
}

/// Rewrites a document that comes in pieces. The head waits until `hold` bytes have come.
fn rewrite<'a>(
    automaton: &Automaton,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    hold: usize,
    lines: bool,
) -> Result<Vec<u8>, Refusal> {
    let mut rewriter = Rewriter::new(automaton, lines, MOST);
    let mut buffer = Buffer::default();
    let mut pieces = pieces.into_iter().peekable();
    let mut waits = hold > 0;
    while let Some(piece) = pieces.next() {
        buffer.held.extend_from_slice(piece);
        let (size, end) = (buffer.held.len(), pieces.peek().is_none());
        let size = rewriter.read(automaton, &mut buffer, size, end, &mut Mark)?;
        assert_eq!(size, buffer.held.len());
        waits = waits && size < hold;
        if end || rewriter.is_whole() && !waits {
            rewriter.pass();
            let held = std::mem::take(&mut buffer.held);
            buffer.gone.extend_from_slice(&held);
        }
    }
    Ok(buffer.gone)
}

/// Every way to cut a document in two, and into bytes, and into threes, comes to the same.
fn rewrite_all(paths: &[&str], document: &[u8], lines: bool) -> Result<String, Refusal> {
    let automaton = automaton(paths);
    let whole = rewrite(&automaton, [document], 0, lines);
    for hold in [0, 7, 1 << 16] {
        for cut in 0..document.len() {
            let (first, second) = document.split_at(cut);
            let got = rewrite(&automaton, [first, second], hold, lines);
            assert_eq!(got, whole, "{paths:?} cut at {cut}, held up to {hold}");
        }
        for size in [1, 2, 3, 5] {
            let got = rewrite(&automaton, document.chunks(size), hold, lines);
            assert_eq!(got, whole, "{paths:?} in pieces of {size}, held up to {hold}");
        }
    }
    whole.map(|text| String::from_utf8(text).unwrap())
}

fn rewritten(paths: &[&str], document: &str) -> Result<String, Refusal> {
    rewrite_all(paths, document.as_bytes(), false)
}

#[test]
fn changes_selected_values_and_nothing_else() {
    let cases: [(&[&str], &str, &str); 18] = [
        (&["$.a"], r#"{"a":"x","b":"y"}"#, r#"{"a":<0:"x">,"b":"y"}"#),
        (&["$.a"], r#" { "a" : 1.50E+09 , "b":0.10}"#, r#" { "a" : <0:1.50E+09> , "b":0.10}"#),
        (&["$.a"], "{\"a\":true}\r\n\t ", "{\"a\":<0:true>}\r\n\t "),
        (&["$.a"], r#"{"a":{"a":[1,{}]},"b":[]}"#, r#"{"a":<0:{"a":[1,{}]}>,"b":[]}"#),
        (&["$.a"], r#"{"a":1,"a":2}"#, r#"{"a":<0:1>,"a":<0:2>}"#),
        (&["$.a"], r#"{"\u0061":1,"A":2,"aa":3}"#, r#"{"\u0061":<0:1>,"A":2,"aa":3}"#),
        (
            &["$['é','😀','\"']"],
            r#"{"\u00e9":1,"\uD83D\ude00":2,"é":3,"😀":4,"\"":5,"\\":6}"#,
            r#"{"\u00e9":<0:1>,"\uD83D\ude00":<0:2>,"é":<0:3>,"😀":<0:4>,"\"":<0:5>,"\\":6}"#,
        ),
        (
            &["$.items[*].card"],
            r#"{"items":[{"card":1},{"x":{"card":2}},3]}"#,
            r#"{"items":[{"card":<0:1>},{"x":{"card":2}},3]}"#,
        ),
        (
            &["$.a[1]", "$.b[0]"],
            r#"{"a":[1,2,3],"b":[[4],5]}"#,
            r#"{"a":[1,<0:2>,3],"b":[<1:[4]>,5]}"#,
        ),
        (
            &["$..s"],
            r#"{"s":{"s":1},"t":[{"s":null}]}"#,
            r#"{"s":<0:{"s":1}>,"t":[{"s":<0:null>}]}"#,
        ),
        (&["$"], " 12 ", " <0:12> "),
        (&["$"], "12", "<0:12>"),
        (&["$"], r#"{"a":[]}"#, r#"<0:{"a":[]}>"#),
        (
            &["$[*]"],
            "[0,-0,1e5,-1.25e-7,\"\",null,false,[],{}]",
            "[<0:0>,<0:-0>,<0:1e5>,<0:-1.25e-7>,<0:\"\">,<0:null>,<0:false>,<0:[]>,<0:{}>]",
        ),
        (
            &["$.*"],
            r#"{"a":"keep","b":"x","c":"keep it","d":1}"#,
            r#"{"a":"keep","b":<0:"x">,"c":"keep it","d":<0:1>}"#,
        ),
        (&["$.a"], r#"{"a":"\"}\\","b":"{\"a\":1}"}"#, r#"{"a":<0:"\"}\\">,"b":"{\"a\":1}"}"#),
        (&["$.a.b", "$.a"], r#"{"a":{"b":1}}"#, r#"{"a":<1:{"b":1}>}"#),
        (
            &["$.x"],
            "123456789012345678901234567890.000e+1000",
            "123456789012345678901234567890.000e+1000",
        ),
    ];
    for (paths, document, want) in cases {
        assert_eq!(rewritten(paths, document).as_deref(), Ok(want), "{paths:?} {document}");
    }
}

#[test]
fn refuses_what_is_not_json() {
    let cases = [
        " ",
        "nul",
        "nulll",
        "tru",
        "{",
        "}",
        "]",
        "[",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{1:1}",
        "\"",
        "\"\n\"",
        "\"\t\"",
        "\"\u{1}\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\"#,
        "01",
        "-",
        "--1",
        "+1",
        "1.",
        ".5",
        "1.e1",
        "1e",
        "1e+",
        "1ee1",
        "0x1",
        "1_0",
        "NaN",
        "1 1",
        "{} {}",
        "[]]",
        "\u{feff}{}",
        "// c\n{}",
        "{}\u{0}",
        "'a'",
        // Halves of surrogate pairs are no text.
        r#""\ud800""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\u0041""#,
        r#""\udc00""#,
        r#""\ud800\ud800""#,
        r#"{"\udfff":1}"#,
    ];
    for document in cases {
        assert_eq!(rewritten(&["$.a"], document), Err(Refusal::Malformed), "{document}");
        let inside = format!("{{\"a\":{document}}}");
        assert!(document.trim().is_empty() || rewritten(&["$.a"], &inside).is_err(), "{inside}");
    }
    for text in [
        &b"\x80"[..],
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xff",
        b"\xc3",
        b"\xe2\x82",
        b"\xc3\x28",
    ] {
        for around in [[&b"[\""[..], b"\"]"], [b"{\"", b"\":1}"]] {
            let document = [around[0], text, around[1]].concat();
            let got = rewrite_all(&["$.a"], &document, false);
            assert_eq!(got, Err(Refusal::Malformed), "{document:x?}");
        }
    }
}

#[test]
fn every_character_is_text() {
    let edges = [
        '\u{7f}',
        '\u{80}',
        '\u{7ff}',
        '\u{800}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        '\u{10000}',
        '\u{3ffff}',
        '\u{40000}',
        '\u{fffff}',
        '\u{100000}',
        '\u{10ffff}',
    ];
    for character in edges {
        let document = format!("{{\"a\":\"{character}\",\"{character}\":1}}");
        let path = format!("$['{character}']");
        let want = format!("{{\"a\":\"{character}\",\"{character}\":<0:1>}}");
        assert_eq!(rewritten(&[&path], &document), Ok(want));
    }
}

#[test]
fn long_texts_are_read_in_words() {
    for at in 0..20 {
        let text = |character: &str| {
            format!("{{\"b\":\"{}{character}{}\",\"a\":1}}", "x".repeat(at), "y".repeat(19 - at))
        };
        for character in
            [" ", "!", "#", "[", "]", "~", "\u{7f}", "\u{80}", "é", "\\\"", "\\\\", "\\n"]
        {
            let document = text(character);
            let want = document.replace(":1}", ":<0:1>}");
            assert_eq!(rewritten(&["$.a"], &document), Ok(want), "{document}");
        }
        for character in ["\"", "\u{0}", "\u{1f}", "\n", "\\"] {
            let document = text(character);
            assert_eq!(rewritten(&["$.a"], &document), Err(Refusal::Malformed), "{document}");
        }
    }
}

#[test]
fn an_empty_body_is_no_document() {
    let automaton = automaton(&["$.a"]);
    assert_eq!(rewrite(&automaton, [&b""[..]], 0, false), Ok(Vec::new()));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(rewritten(&["$.a"], &nested(MAX_DEPTH)).is_ok());
    assert_eq!(rewritten(&["$.a"], &nested(MAX_DEPTH + 1)), Err(Refusal::Malformed));
}

#[test]
fn values_are_bounded() {
    let document =
        |length: usize| format!("{{\"b\":\"{0}{0}\",\"a\":\"{0}\"}}", "x".repeat(length));
    assert!(rewritten(&["$.a"], &document(MOST - 2)).is_ok());
    assert_eq!(rewritten(&["$.a"], &document(MOST - 1)), Err(Refusal::TooLarge));
    let nested = format!("{{\"a\":[{}1]}}", "1,".repeat(40));
    assert_eq!(rewritten(&["$.a"], &nested), Err(Refusal::TooLarge));
}

#[test]
fn each_line_may_be_a_document() {
    let lines = |text: &str| rewrite_all(&["$.a"], text.as_bytes(), true);
    assert_eq!(
        lines("{\"a\":1}\n\n{\"a\":2}\r\n[3]").unwrap(),
        "{\"a\":<0:1>}\n\n{\"a\":<0:2>}\r\n[3]"
    );
    assert_eq!(lines("1\n2\n").unwrap(), "1\n2\n");
    assert_eq!(lines("\n").unwrap(), "\n");
    for text in ["1 2", "{}{}", "{}\n{", "{} ,\n{}", "{\"a\":\n1\n"] {
        assert_eq!(lines(text), Err(Refusal::Malformed), "{text:?}");
    }
    assert_eq!(rewritten(&["$.a"], "1\n2"), Err(Refusal::Malformed));
}

#[test]
fn documents_made_at_random_are_the_same_in_all_pieces() {
    let mut random = Random(1);
    for round in 0..300 {
        let mut document = String::new();
        random.value(&mut document, 4);
        let paths = ["$..a", "$.b[*]", "$[1]", "$['\\u0063'].d"];
        let paths = &paths[..1 + round % paths.len()];
        match rewritten(paths, &document) {
            Ok(_) | Err(Refusal::TooLarge) => {}
            Err(refusal) => panic!("{document}: {refusal:?}"),
        }
    }
}

/// Makes documents; the numbers are those of a linear congruential generator.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn value(&mut self, out: &mut String, depth: u64) {
        out.push_str(self.pick(&["", " ", "\n"]));
        match self.below(if depth == 0 { 2 } else { 4 }) {
            0 => out.push_str(self.pick(&["0", "-1.5e3", "true", "null", "12345678901234567890"])),
            1 => self.text(out),
            2 => self.list(out, depth, ('[', ']'), false),
            _ => self.list(out, depth, ('{', '}'), true),
        }
        out.push_str(self.pick(&["", " ", "\r\n"]));
    }

    fn text(&mut self, out: &mut String) {
        let parts = ["a", "b", "c", "d", "\\u0061", "é", "\\ud83d\\ude00", "\\\\", "\\\"", ""];
        out.push('"');
        for _ in 0..self.below(3) {
            out.push_str(self.pick(&parts));
        }
        out.push('"');
    }

    fn list(&mut self, out: &mut String, depth: u64, (open, close): (char, char), named: bool) {
        out.push(open);
        for i in 0..self.below(4) {
            if i > 0 {
                out.push(',');
            }
            if named {
                self.text(out);
                out.push(':');
            }
            self.value(out, depth - 1);
        }
        out.push(close);
    }
}
