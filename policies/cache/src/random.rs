//! Made-up inputs for the tests of parsers, the same in each run.

/// Calls `check` with texts of up to 64 of the bytes in `alphabet`.
pub fn bytes(alphabet: &[u8], count: usize, mut check: impl FnMut(&[u8])) {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for _ in 0..count {
        let length = next() % 65;
        let text: Vec<u8> = (0..length).map(|_| alphabet[next() % alphabet.len()]).collect();
        check(&text);
    }
}
