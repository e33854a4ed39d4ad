//! The UserSig of a device: a constant, or one that is replaced at run time.

use core::fmt;

use crate::Error;

/// The UserSig that a device logs in with.
///
/// A `&str` becomes one that lasts as long as the device. A device that gets new UserSigs at run time, from its maker's server or over
/// a service port, gives it a buffer:
///
/// ```
/// use tim_transport_embedded::UserSig;
///
/// let mut buffer = [0; 256];
/// let mut user_sig = UserSig::in_buffer(&mut buffer, "eJw…")?;
/// user_sig.replace("eJx…")?;
/// assert_eq!(user_sig.as_ref(), "eJx…");
/// # Ok::<(), tim_transport_embedded::Error>(())
/// ```
pub struct UserSig<'m>(Place<'m>);

enum Place<'m> {
    Fixed(&'m str),
    Buffer { bytes: &'m mut [u8], len: usize },
}

impl<'m> UserSig<'m> {
    /// A UserSig that can be replaced, in `buffer`. 256 bytes are sufficient for most.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it is longer than the buffer.
    pub fn in_buffer(buffer: &'m mut [u8], user_sig: &str) -> Result<Self, Error> {
        let mut place = Self(Place::Buffer {
            bytes: buffer,
            len: 0,
        });
        place.replace(user_sig)?;
        Ok(place)
    }

    /// Replaces the UserSig. Without a buffer, no other one fits.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it is longer than the buffer. The old one stays.
    pub fn replace(&mut self, user_sig: &str) -> Result<(), Error> {
        self.check(user_sig)?;
        if let Place::Buffer { bytes, len } = &mut self.0 {
            for (to, from) in bytes.iter_mut().zip(user_sig.as_bytes()) {
                *to = *from;
            }
            *len = user_sig.len();
        }
        Ok(())
    }

    /// An error if this UserSig does not fit.
    pub(crate) fn check(&self, user_sig: &str) -> Result<(), Error> {
        let (len, max) = (user_sig.len(), self.room());
        if len > max {
            return Err(Error::TooLarge { len, max });
        }
        Ok(())
    }

    const fn room(&self) -> usize {
        match &self.0 {
            Place::Fixed(_) => 0,
            Place::Buffer { bytes, .. } => bytes.len(),
        }
    }
}

impl<'m> From<&'m str> for UserSig<'m> {
    fn from(user_sig: &'m str) -> Self {
        Self(Place::Fixed(user_sig))
    }
}

impl AsRef<str> for UserSig<'_> {
    fn as_ref(&self) -> &str {
        match &self.0 {
            Place::Fixed(user_sig) => user_sig,
            Place::Buffer { bytes, len } => {
                let user_sig = bytes.get(..*len).unwrap_or_default();
                core::str::from_utf8(user_sig).unwrap_or_default()
            }
        }
    }
}

/// Without the UserSig, which is a credential.
impl fmt::Debug for UserSig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSig").finish_non_exhaustive()
    }
}
