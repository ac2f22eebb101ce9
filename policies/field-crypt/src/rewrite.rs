//! A document on its way: the host's buffer is read a piece at a time, and selected values in it are
//! replaced. Between pieces nothing of the document is kept here; a value that is not whole yet stays in
//! the host's buffer.

use crate::automaton::Automaton;
use crate::refusal::Refusal;
use crate::scan::{Event, Scanner};

/// Most bytes that may wait in the host's buffer; policy.toml asks for as many.
pub const MAX_HELD: usize = 1 << 20;

/// What the host holds of a body.
pub trait Held {
    /// The bytes from `start` up to `end`.
    fn bytes(&self, start: usize, end: usize) -> Vec<u8>;

    /// Puts other bytes in place of those from `start` on.
    fn replace(&mut self, start: usize, bytes: &[u8]);
}

/// Says what becomes of values.
pub trait Change {
    /// Appends what a value becomes that the query of that number selects. False says that it stays as it
    /// is, and that nothing was appended.
    fn change(&mut self, query: usize, value: &[u8], out: &mut Vec<u8>) -> Result<bool, Refusal>;
}

/// A body that is being rewritten.
pub struct Rewriter {
    scanner: Scanner,
    seen: usize,
    open: Option<Open>,
    most: usize,
}

/// A selected value of which the end was not seen yet.
struct Open {
    query: usize,
    start: usize,
}

/// What becomes of one piece.
struct Piece<'a> {
    input: &'a [u8],
    /// Where the input begins in the host's buffer.
    base: usize,
    /// From where on the buffer changes, and to what.
    edit: Option<(usize, Vec<u8>)>,
    /// How much of the input stands in the edit, or before it.
    copied: usize,
}

impl Rewriter {
    /// A body of which nothing came yet. Selected values have at most `most` bytes.
    pub fn new(automaton: &Automaton, lines: bool, most: usize) -> Rewriter {
        Rewriter { scanner: Scanner::new(automaton, lines), seen: 0, open: None, most }
    }

    /// Reads what came after the bytes that the host held, and changes it. Returns how much the host
    /// holds now.
    pub fn read(
        &mut self,
        automaton: &Automaton,
        held: &mut impl Held,
        size: usize,
        end: bool,
        by: &mut impl Change,
    ) -> Result<usize, Refusal> {
        let input = if size > self.seen { held.bytes(self.seen, size) } else { Vec::new() };
        let mut piece = Piece { input: &input, base: self.seen, edit: None, copied: 0 };
        let (mut next, mut begun) = (0, None);
        while let Some(event) = self.scanner.next(automaton, &input, &mut next)? {
            match event {
                Event::Begin(query, at) => begun = Some((query, at)),
                Event::End(at) => self.ended(&mut piece, held, begun.take(), at, by)?,
            }
        }
        if end && self.scanner.finish()? {
            self.ended(&mut piece, held, begun.take(), input.len(), by)?;
        }
        if let Some((query, at)) = begun {
            self.open = Some(Open { query, start: piece.place(at) });
        }
        let size = piece.finish(held);
        if size > MAX_HELD || self.open.as_ref().is_some_and(|open| size - open.start > self.most) {
            return Err(Refusal::TooLarge);
        }
        self.seen = size;
        Ok(size)
    }

    /// How much the host holds of what was read.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Whether what the host holds may go on: no selected value in it lacks its end.
    pub fn is_whole(&self) -> bool {
        self.open.is_none()
    }

    /// What the host held goes on.
    pub fn pass(&mut self) {
        self.seen = 0;
    }

    /// A selected value ends at an index of the input. It began there too, or in the host's buffer.
    fn ended(
        &mut self,
        piece: &mut Piece<'_>,
        held: &impl Held,
        begun: Option<(usize, usize)>,
        at: usize,
        by: &mut impl Change,
    ) -> Result<(), Refusal> {
        let input = piece.input;
        if let Some((query, from)) = begun {
            return piece.change(piece.base + from, from, at, self.most, |out| {
                by.change(query, &input[from..at], out)
            });
        }
        let Some(Open { query, start }) = self.open.take() else { return Ok(()) };
        let mut value = held.bytes(start, piece.base);
        value.extend_from_slice(&input[..at]);
        piece.change(start, 0, at, self.most - (piece.base - start).min(self.most), |out| {
            by.change(query, &value, out)
        })
    }
}

impl Piece<'_> {
    /// Has a value changed, of which input[from..to] is here, and which begins at `start` in the buffer.
    fn change(
        &mut self,
        start: usize,
        from: usize,
        to: usize,
        most: usize,
        by: impl FnOnce(&mut Vec<u8>) -> Result<bool, Refusal>,
    ) -> Result<(), Refusal> {
        if to - from > most {
            return Err(Refusal::TooLarge);
        }
        let (first, mut out) = match self.edit.take() {
            Some((first, mut out)) => {
                out.extend_from_slice(&self.input[self.copied..from]);
                (first, out)
            }
            None => (start, Vec::new()),
        };
        let is_first = first == start && out.is_empty();
        let changed = by(&mut out)?;
        if out.len() > MAX_HELD {
            return Err(Refusal::TooLarge);
        }
        self.copied = to;
        match changed {
            true => self.edit = Some((first, out)),
            false if is_first => self.copied = 0,
            false => {
                out.extend_from_slice(&self.input[from..to]);
                self.edit = Some((first, out));
            }
        }
        Ok(())
    }

    /// Where a byte of the input will be in the buffer.
    fn place(&self, at: usize) -> usize {
        match &self.edit {
            Some((first, out)) => first + out.len() + at - self.copied,
            None => self.base + at,
        }
    }

    /// Changes the buffer, and returns its size.
    fn finish(self, held: &mut impl Held) -> usize {
        let size = self.place(self.input.len());
        if let Some((first, mut out)) = self.edit {
            out.extend_from_slice(&self.input[self.copied..]);
            held.replace(first, &out);
        }
        size
    }
}
