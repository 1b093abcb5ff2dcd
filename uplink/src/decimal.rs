//! Exact comparison of a JSON number with an amount, never through a float.

/// Decimals of an amount.
const AMOUNT_DECIMALS: i64 = 4;

/// The JSON number `text` in ten-thousandths, or `None` if it is no whole number of them or does
/// not fit: then it equals no amount.
///
/// `text` must be a number by JSON's grammar; any spelling counts, so `2.450e1` is `24.50`.
pub(crate) fn ten_thousandths(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // The value is `significant` times ten to the power of `shift`, in ten-thousandths.
    let dropped = i64::try_from(digits.len().checked_sub(significant.len())?).ok()?;
    let fraction_digits = i64::try_from(fraction.len()).ok()?;
    let shift = exponent
        .parse::<i64>()
        .ok()?
        .checked_sub(fraction_digits)?
        .checked_add(dropped)?
        .checked_add(AMOUNT_DECIMALS)?;
    let power = 10_i128.checked_pow(u32::try_from(shift).ok()?)?;
    let number = significant.trim_start_matches('0').parse::<i128>().ok()?.checked_mul(power)?;
    i64::try_from(if negative { number.checked_neg()? } else { number }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_number_has_the_same_value() {
        for text in ["24.5", "24.50", "24.500000000000000000000000", "2.45e1", "0.245E+2", "245e-1"]
        {
            assert_eq!(ten_thousandths(text), Some(245_000), "{text}");
        }
        for text in ["0", "-0", "0.0", "0e99999999999999999999", "0E-3"] {
            assert_eq!(ten_thousandths(text), Some(0), "{text}");
        }
        assert_eq!(ten_thousandths("-3"), Some(-30_000));
        assert_eq!(ten_thousandths("0.0001"), Some(1));
    }

    #[test]
    fn what_is_no_whole_number_of_ten_thousandths_equals_no_amount() {
        let apart = ["24.50001", "1e-5", "1e400", "1e99999999999999999999", "922337203685477.5808"];
        for text in apart {
            assert_eq!(ten_thousandths(text), None, "{text}");
        }
    }

    #[test]
    fn the_largest_and_the_smallest_amount_are_exact() {
        assert_eq!(ten_thousandths("922337203685477.5807"), Some(i64::MAX));
        assert_eq!(ten_thousandths("-922337203685477.5808"), Some(i64::MIN));
    }

    #[test]
    fn neighbours_that_a_float_cannot_tell_apart_differ() {
        let (low, high) = ("900719925474099.2001", "900719925474099.2002");
        assert!(low.parse::<f64>() == high.parse::<f64>(), "control: a float mixes them up");
        assert_ne!(ten_thousandths(low), ten_thousandths(high));
    }
}
