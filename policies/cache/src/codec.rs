//! Numbers and byte strings one after another: what is kept beside entries and with exchanges.

/// Writes one after another.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn int(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    pub fn long(&mut self, value: i64) {
        self.0.extend(value.to_le_bytes());
    }

    pub fn optional(&mut self, value: Option<u32>) {
        self.int(value.unwrap_or(u32::MAX));
    }

    pub fn bytes(&mut self, value: &[u8]) {
        self.int(value.len() as u32);
        self.0.extend(value);
    }
}

/// Reads what [`Writer`] has written; `None` where there is too little.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub fn int(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub fn long(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    pub fn optional(&mut self) -> Option<Option<u32>> {
        let value = self.int()?;
        Some((value != u32::MAX).then_some(value))
    }

    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.int()? as usize;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}
