//! What is done to one value.

use ergo_sdk::crypto::{self, CryptoError};

use crate::context::associated;
use crate::refusal::Refusal;
use crate::rewrite::Change;
use crate::scan::is_value;
use crate::settings::{Direction, Field};
use crate::token;

/// Encrypts and decrypts the values of one message.
pub struct Work<'a> {
    pub direction: &'a Direction,
    pub context: &'a [u8],
    pub encrypted: u32,
    pub decrypted: u32,
}

impl<'a> Work<'a> {
    /// Nothing was done yet.
    pub fn new(direction: &'a Direction, context: &'a [u8]) -> Self {
        Work { direction, context, encrypted: 0, decrypted: 0 }
    }

    fn encrypt(&self, field: &Field, value: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        if value.len() > self.direction.value_bytes {
            return Err(Refusal::TooLarge);
        }
        let sealed = crypto::seal(&field.key, value, &associated(&field.name, self.context))
            .map_err(|_| Refusal::Unavailable)?;
        if token::write(&sealed, out) { Ok(()) } else { Err(Refusal::Unavailable) }
    }

    fn decrypt(&self, field: &Field, value: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let sealed = token::read(value).ok_or(Refusal::Tampered)?;
        let plain = crypto::open(&field.key, &sealed, &associated(&field.name, self.context));
        let plain = plain.map_err(|error| match error {
            CryptoError::NotFound => Refusal::UnknownKey,
            CryptoError::Mismatch | CryptoError::BadArgument => Refusal::Tampered,
            _ => Refusal::Unavailable,
        })?;
        // Whoever has the key may have sealed something that is no JSON, or more than one value.
        if plain.len() > self.direction.value_bytes || !is_value(&plain) {
            return Err(Refusal::Tampered);
        }
        out.extend_from_slice(&plain);
        Ok(())
    }
}

impl Change for Work<'_> {
    fn change(&mut self, query: usize, value: &[u8], out: &mut Vec<u8>) -> Result<bool, Refusal> {
        let field = &self.direction.fields[query];
        if field.encrypt {
            self.encrypt(field, value, out)?;
            self.encrypted += 1;
            return Ok(true);
        }
        if !token::is_token(value) {
            return match self.direction.pass_unencrypted {
                true => Ok(false),
                false => Err(Refusal::NotEncrypted),
            };
        }
        self.decrypt(field, value, out)?;
        self.decrypted += 1;
        Ok(true)
    }
}
