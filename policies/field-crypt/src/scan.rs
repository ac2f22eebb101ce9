//! An incremental reader of JSON (RFC 8259) that copies nothing: it says where the selected values begin
//! and end, whatever pieces a document comes in, and refuses what is not JSON.

use crate::automaton::{Automaton, NOWHERE, State};

/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 128;

/// Why a document is refused. None of these says anything of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is not JSON.
    Syntax,
    /// It is not UTF-8, or has half of a surrogate pair.
    Text,
    /// It is nested deeper than [`MAX_DEPTH`].
    Depth,
    /// It ends too early.
    End,
}

/// What happened at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A value that the query of that number selects begins with the byte at the index.
    Begin(usize, usize),
    /// The selected value ends before the index.
    End(usize),
}

/// What is expected next. Those of text are for names of members and for values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    ElementOrEnd,
    NameOrEnd,
    Name,
    Colon,
    CommaOrEnd,
    Newline,
    Text,
    Escape,
    Hex(u8),
    LowBackslash,
    LowU,
    Utf8(u8, u8, u8),
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Literal(&'static [u8]),
}

/// An object or array that is open.
#[derive(Clone, Copy)]
struct Frame {
    state: State,
    array: bool,
    index: u32,
}

/// The reader of one document, or of one on each line.
pub struct Scanner {
    expect: Expect,
    lines: bool,
    begun: bool,
    at: State,
    frames: Vec<Frame>,
    /// Depth at which the selected value lies that is being read.
    inside: Option<usize>,
    in_name: bool,
    name: Vec<u8>,
    code: u32,
    high: u32,
}

impl Scanner {
    /// A reader at the beginning. With `lines` there may be a document on each line.
    pub fn new(automaton: &Automaton, lines: bool) -> Scanner {
        Scanner {
            expect: Expect::Value,
            lines,
            begun: false,
            at: automaton.root(),
            frames: Vec::new(),
            inside: None,
            in_name: false,
            name: Vec::new(),
            code: 0,
            high: 0,
        }
    }

    /// Reads from `input[*next..]` up to the next event, or to its end. The indices of events are those
    /// of `input`.
    pub fn next(
        &mut self,
        automaton: &Automaton,
        input: &[u8],
        next: &mut usize,
    ) -> Result<Option<Event>, Malformed> {
        while let Some(&byte) = input.get(*next) {
            let event = match self.expect {
                Expect::Text => {
                    *next += self.plain_text(automaton, &input[*next..]);
                    let Some(&byte) = input.get(*next) else { break };
                    self.text(automaton, byte)?.then_some(Event::End(*next + 1))
                }
                Expect::Minus
                | Expect::Zero
                | Expect::Integer
                | Expect::Point
                | Expect::Fraction
                | Expect::Exponent
                | Expect::ExponentSign
                | Expect::ExponentDigits => match self.number(byte)? {
                    true => None,
                    // The byte is the one behind the number; it is read next.
                    false if self.value_ends() => return Ok(Some(Event::End(*next))),
                    false => continue,
                },
                _ => self.structure(automaton, byte, *next)?,
            };
            *next += 1;
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// The end of the input. A number that is the whole document ends only here: true says that it was
    /// selected and ends with the input.
    pub fn finish(&mut self) -> Result<bool, Malformed> {
        let mut ended = false;
        if matches!(
            self.expect,
            Expect::Zero | Expect::Integer | Expect::Fraction | Expect::ExponentDigits
        ) {
            ended = self.value_ends();
        }
        match self.expect {
            Expect::Newline => Ok(ended),
            Expect::Value if self.frames.is_empty() && (self.lines || !self.begun) => Ok(ended),
            _ => Err(Malformed::End),
        }
    }

    /// How many bytes of a text need no attention.
    fn plain_text(&mut self, automaton: &Automaton, input: &[u8]) -> usize {
        let words = input.chunks_exact(8).take_while(|word| is_plain(word)).count() * 8;
        let rest = input[words..].iter().take_while(|&&byte| PLAIN[byte as usize]).count();
        let plain = words + rest;
        self.keep(automaton, &input[..plain]);
        plain
    }

    /// Keeps a part of a member's name, as far as names are told apart here.
    fn keep(&mut self, automaton: &Automaton, part: &[u8]) {
        if !self.in_name || self.at == NOWHERE {
            return;
        }
        let room = (automaton.longest_name() + 1).saturating_sub(self.name.len());
        self.name.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn keep_code(&mut self, automaton: &Automaton, code: u32) -> Result<(), Malformed> {
        let character = char::from_u32(code).ok_or(Malformed::Text)?;
        self.keep(automaton, character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// A byte of a text that needs attention. True says that a selected value ends with it.
    fn text(&mut self, automaton: &Automaton, byte: u8) -> Result<bool, Malformed> {
        self.expect = match byte {
            b'"' if self.in_name => Expect::Colon,
            b'"' => return Ok(self.value_ends()),
            b'\\' => Expect::Escape,
            0..0x20 => return Err(Malformed::Syntax),
            0xc2..=0xdf => Expect::Utf8(1, 0x80, 0xbf),
            0xe0 => Expect::Utf8(2, 0xa0, 0xbf),
            0xed => Expect::Utf8(2, 0x80, 0x9f),
            0xe1..=0xef => Expect::Utf8(2, 0x80, 0xbf),
            0xf0 => Expect::Utf8(3, 0x90, 0xbf),
            0xf1..=0xf3 => Expect::Utf8(3, 0x80, 0xbf),
            0xf4 => Expect::Utf8(3, 0x80, 0x8f),
            _ => return Err(Malformed::Text),
        };
        if byte >= 0x80 {
            self.keep(automaton, &[byte]);
        }
        Ok(false)
    }

    /// A byte of a number. False says that it is none: the number has ended.
    fn number(&mut self, byte: u8) -> Result<bool, Malformed> {
        self.expect = match (self.expect, byte) {
            (Expect::Minus, b'0') => Expect::Zero,
            (Expect::Minus, b'1'..=b'9') | (Expect::Integer, b'0'..=b'9') => Expect::Integer,
            (Expect::Zero | Expect::Integer, b'.') => Expect::Point,
            (Expect::Point | Expect::Fraction, b'0'..=b'9') => Expect::Fraction,
            (Expect::Zero | Expect::Integer | Expect::Fraction, b'e' | b'E') => Expect::Exponent,
            (Expect::Exponent, b'+' | b'-') => Expect::ExponentSign,
            (Expect::Exponent | Expect::ExponentSign | Expect::ExponentDigits, b'0'..=b'9') => {
                Expect::ExponentDigits
            }
            (Expect::Zero | Expect::Integer | Expect::Fraction | Expect::ExponentDigits, _) => {
                return Ok(false);
            }
            _ => return Err(Malformed::Syntax),
        };
        Ok(true)
    }

    /// A byte outside of plain text and numbers.
    fn structure(
        &mut self,
        automaton: &Automaton,
        byte: u8,
        index: usize,
    ) -> Result<Option<Event>, Malformed> {
        match self.expect {
            Expect::Escape => self.escape(automaton, byte)?,
            Expect::Hex(left) => self.hex(automaton, byte, left)?,
            Expect::LowBackslash | Expect::LowU => self.low(byte)?,
            Expect::Utf8(left, low, high) => {
                if !(low..=high).contains(&byte) {
                    return Err(Malformed::Text);
                }
                self.keep(automaton, &[byte]);
                self.expect = match left {
                    1 => Expect::Text,
                    _ => Expect::Utf8(left - 1, 0x80, 0xbf),
                };
            }
            Expect::Literal(rest) => {
                if byte != rest[0] {
                    return Err(Malformed::Syntax);
                }
                self.expect = Expect::Literal(&rest[1..]);
                if rest.len() == 1 && self.value_ends() {
                    return Ok(Some(Event::End(index + 1)));
                }
            }
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {
                self.begun = true;
                if self.expect == Expect::Newline && byte == b'\n' && self.lines {
                    self.at = automaton.root();
                    self.expect = Expect::Value;
                }
            }
            Expect::Value => return self.value(automaton, byte, index),
            Expect::ElementOrEnd if byte != b']' => {
                self.element(automaton, 0);
                return self.value(automaton, byte, index);
            }
            Expect::NameOrEnd if byte != b'}' => self.name(byte)?,
            Expect::Name => self.name(byte)?,
            Expect::Colon if byte == b':' => {
                self.member(automaton);
                self.expect = Expect::Value;
            }
            Expect::CommaOrEnd if byte == b',' => self.comma(automaton),
            Expect::CommaOrEnd | Expect::ElementOrEnd | Expect::NameOrEnd => {
                return Ok(self.close(byte)?.then_some(Event::End(index + 1)));
            }
            _ => return Err(Malformed::Syntax),
        }
        Ok(None)
    }

    fn value(
        &mut self,
        automaton: &Automaton,
        byte: u8,
        index: usize,
    ) -> Result<Option<Event>, Malformed> {
        self.begun = true;
        let selected = if self.inside.is_none() { automaton.selected(self.at) } else { None };
        if selected.is_some() {
            self.inside = Some(self.frames.len());
        }
        self.in_name = false;
        self.expect = match byte {
            b'"' => Expect::Text,
            b'-' => Expect::Minus,
            b'0' => Expect::Zero,
            b'1'..=b'9' => Expect::Integer,
            b't' => Expect::Literal(b"rue"),
            b'f' => Expect::Literal(b"alse"),
            b'n' => Expect::Literal(b"ull"),
            b'{' | b'[' => self.open(byte == b'[')?,
            _ => return Err(Malformed::Syntax),
        };
        Ok(selected.map(|query| Event::Begin(query, index)))
    }

    fn open(&mut self, array: bool) -> Result<Expect, Malformed> {
        if self.frames.len() == MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        let state = if self.inside.is_some() { NOWHERE } else { self.at };
        self.frames.push(Frame { state, array, index: 0 });
        Ok(if array { Expect::ElementOrEnd } else { Expect::NameOrEnd })
    }

    /// Ends an object or array. True says that it was a selected value.
    fn close(&mut self, byte: u8) -> Result<bool, Malformed> {
        match self.frames.pop() {
            Some(frame) if byte == if frame.array { b']' } else { b'}' } => Ok(self.value_ends()),
            _ => Err(Malformed::Syntax),
        }
    }

    /// A value has ended. True says that it was a selected one.
    fn value_ends(&mut self) -> bool {
        self.expect = match self.frames.is_empty() {
            true => Expect::Newline,
            false => Expect::CommaOrEnd,
        };
        let selected = self.inside == Some(self.frames.len());
        if selected {
            self.inside = None;
        }
        selected
    }

    fn comma(&mut self, automaton: &Automaton) {
        let Some(frame) = self.frames.last_mut() else { return };
        if !frame.array {
            self.expect = Expect::Name;
            return;
        }
        frame.index = frame.index.saturating_add(1);
        let index = frame.index;
        self.expect = Expect::Value;
        self.element(automaton, index);
    }

    fn element(&mut self, automaton: &Automaton, index: u32) {
        let parent = self.frames.last().map_or(NOWHERE, |frame| frame.state);
        self.at = if parent == NOWHERE { NOWHERE } else { automaton.element(parent, index) };
    }

    fn name(&mut self, byte: u8) -> Result<(), Malformed> {
        if byte != b'"' {
            return Err(Malformed::Syntax);
        }
        let parent = self.frames.last().map_or(NOWHERE, |frame| frame.state);
        (self.at, self.in_name, self.expect) = (parent, true, Expect::Text);
        self.name.clear();
        Ok(())
    }

    fn member(&mut self, automaton: &Automaton) {
        if self.at != NOWHERE {
            self.at = automaton.member(self.at, &self.name);
        }
    }

    fn escape(&mut self, automaton: &Automaton, byte: u8) -> Result<(), Malformed> {
        let character = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.code = 0;
                self.expect = Expect::Hex(4);
                return Ok(());
            }
            _ => return Err(Malformed::Syntax),
        };
        self.expect = Expect::Text;
        self.keep_code(automaton, u32::from(character))
    }

    fn hex(&mut self, automaton: &Automaton, byte: u8, left: u8) -> Result<(), Malformed> {
        let digit = char::from(byte).to_digit(16).ok_or(Malformed::Syntax)?;
        self.code = self.code << 4 | digit;
        self.expect = Expect::Hex(left - 1);
        if left > 1 {
            return Ok(());
        }
        let high = std::mem::take(&mut self.high);
        match self.code {
            0xd800..0xdc00 if high == 0 => {
                self.high = self.code;
                self.expect = Expect::LowBackslash;
                return Ok(());
            }
            0xdc00..0xe000 if high != 0 => {
                self.code = 0x10000 + ((high - 0xd800) << 10) + (self.code - 0xdc00);
            }
            _ if high != 0 => return Err(Malformed::Text),
            _ => {}
        }
        self.expect = Expect::Text;
        self.keep_code(automaton, self.code)
    }

    /// What has to come between the halves of a surrogate pair.
    fn low(&mut self, byte: u8) -> Result<(), Malformed> {
        self.expect = match (self.expect, byte) {
            (Expect::LowBackslash, b'\\') => Expect::LowU,
            (Expect::LowU, b'u') => {
                self.code = 0;
                Expect::Hex(4)
            }
            _ => return Err(Malformed::Text),
        };
        Ok(())
    }
}

/// Whether bytes are one JSON value and nothing around it.
pub fn is_value(bytes: &[u8]) -> bool {
    let automaton = Automaton::nothing();
    let mut scanner = Scanner::new(&automaton, false);
    let bare = |byte: Option<&u8>| byte.is_some_and(|byte| !byte.is_ascii_whitespace());
    bare(bytes.first())
        && bare(bytes.last())
        && matches!(scanner.next(&automaton, bytes, &mut 0), Ok(None))
        && scanner.finish().is_ok()
}

/// Whether none of eight bytes needs attention: one that does has the highest bit of its place set in one
/// of four numbers.
fn is_plain(word: &[u8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let Ok(bytes) = word.try_into() else { return false };
    let word = u64::from_le_bytes(bytes);
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let is = |byte: u64| below(word ^ (ONES * byte), 1);
    (word | below(word, 0x20) | is(u64::from(b'"')) | is(u64::from(b'\\'))) & (ONES << 7) == 0
}

/// Bytes of a text that need no attention.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x80 {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};
