//! Money as an exact decimal, never a float.

use std::{fmt, str::FromStr};

use crate::base::{Error, Result};

/// Ten-thousandths in one unit: an amount has at most four decimals.
const SCALE: u64 = 10_000;
/// Decimals that an amount can hold.
const DECIMALS_MAX: usize = 4;

/// An exact decimal amount with at most four decimals, in `i64` ten-thousandths.
///
/// The currency is the caller's business. Written as `24.50`, `-3`, `0.0001`; exponents, signs other
/// than a leading `-`, and a fifth decimal that is not zero are refused.
///
/// ```
/// use onceward::Amount;
///
/// let amount: Amount = "24.5".parse()?;
/// assert_eq!(amount.ten_thousandths(), 245_000);
/// assert_eq!(amount.to_string(), "24.50");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Amount(i64);

impl Amount {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Wraps a number of ten-thousandths.
    #[must_use]
    pub fn from_ten_thousandths(ten_thousandths: i64) -> Self {
        Self(ten_thousandths)
    }

    /// An amount of so many minor units, of which `decimals` places are behind the point: `from_minor(2_450, 2)`
    /// is 24.50.
    ///
    /// ```
    /// use onceward::Amount;
    ///
    /// assert_eq!(Amount::from_minor(2_450, 2)?.to_string(), "24.50");
    /// assert_eq!(Amount::from_minor(-3, 0)?.to_string(), "-3.00");
    /// assert!(Amount::from_minor(1, 5).is_err());
    /// # Ok::<(), onceward::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid`, with the code `AMOUNT_INVALID`: more than four decimals, or it does not fit.
    pub fn from_minor(minor: i64, decimals: u32) -> Result<Self> {
        let factor = 4_u32.checked_sub(decimals).map(|places| 10_i64.pow(places));
        let amount = factor.and_then(|factor| minor.checked_mul(factor)).map(Self);
        amount.ok_or_else(|| {
            let message = format!(
                "amount: {minor} minor units with {decimals} decimals is not an amount of at most four decimals \
                 between -922337203685477.5808 and 922337203685477.5807"
            );
            Error::invalid("AMOUNT_INVALID", message)
        })
    }

    /// The amount that is nearest to a sum, and whether the sum itself is beyond what an amount can be.
    pub(crate) fn nearest(sum: i128) -> (Self, bool) {
        match i64::try_from(sum) {
            Ok(fits) => (Self(fits), false),
            Err(_) if sum < 0 => (Self(i64::MIN), true),
            Err(_) => (Self(i64::MAX), true),
        }
    }

    /// The number of ten-thousandths.
    #[must_use]
    pub fn ten_thousandths(self) -> i64 {
        self.0
    }

    /// The sum, or `None` where it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` where it does not fit.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Amount").field(&format_args!("{self}")).finish()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let decimals = format!("{:04}", size % SCALE);
        let (first_two, last_two) = decimals.split_at(2);
        write!(f, "{sign}{}.{first_two}{}", size / SCALE, last_two.trim_end_matches('0'))
    }
}

impl FromStr for Amount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            let start: String = text.chars().take(40).collect();
            Error::invalid("AMOUNT_INVALID", format!("amount: {start:?} {why}"))
        };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = match digits.split_once('.') {
            Some((_, "")) => return Err(refused("has no digit after the point")),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) {
            return Err(refused("is not a decimal number such as 24.50"));
        }
        let kept = decimals.trim_end_matches('0');
        if kept.len() > DECIMALS_MAX {
            return Err(refused("has more than 4 decimals"));
        }
        let sign = if negative { "-" } else { "" };
        format!("{sign}{whole}{kept:0<DECIMALS_MAX$}")
            .parse()
            .map(Self)
            .map_err(|_overflow| refused("is beyond +-922,337,203,685,477.5807"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_printed_exactly() {
        for (text, ten_thousandths, printed) in [
            ("0", 0, "0.00"),
            ("0.00", 0, "0.00"),
            ("24.50", 245_000, "24.50"),
            ("24.5", 245_000, "24.50"),
            ("-0.0001", -1, "-0.0001"),
            ("12.3450", 123_450, "12.345"),
            ("1.50000", 15_000, "1.50"),
            ("922337203685477.5807", i64::MAX, "922337203685477.5807"),
            ("-922337203685477.5808", i64::MIN, "-922337203685477.5808"),
        ] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!(amount.ten_thousandths(), ten_thousandths, "{text}");
            assert_eq!(amount.to_string(), printed);
            assert_eq!(format!("{amount:?}"), format!("Amount({printed})"));
            assert_eq!(printed.parse::<Amount>().unwrap(), amount);
        }
    }

    #[test]
    fn what_is_not_an_exact_amount_is_refused() {
        for bad in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1e3",
            "+1",
            "1,5",
            "NaN",
            "--1",
            "1.00001",
            " 1",
            "0x1",
            "922337203685477.5808",
            "99999999999999999999",
        ] {
            let error = bad.parse::<Amount>().unwrap_err();
            assert_eq!(error.code(), "AMOUNT_INVALID", "{bad:?}");
        }
    }
}
