//! Points in time as people write them.

/// RFC 3339 in UTC, to the second, of milliseconds since 1970.
pub fn show(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Milliseconds since 1970 of `2026-11-21T20:15:00Z`, `2026-11-21 20:15:00.250+02:00`, `2026-11-21` or a number of
/// seconds or, with 13 digits, milliseconds. UTC where no zone is given. A time without a fraction means the whole
/// second.
pub fn parse(text: &str) -> Option<i64> {
    if text.len() >= 9 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return match text.len() {
            13.. => Some(number),
            _ => number.checked_mul(1000)?.checked_add(999),
        };
    }
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], text.get(at + 1..)?),
        None => (text, "23:59:59"),
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (
        number(parts.next()?, 4)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (clock, offset) = zone(time)?;
    let (whole, fraction) = match clock.split_once('.') {
        Some((whole, fraction)) => (whole, millis_of(fraction)?),
        None => (clock, 999),
    };
    let mut parts = whole.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = match parts.next() {
        Some(text) => number(text, 2)?,
        None => 59,
    };
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(seconds * 1000 + fraction)
}

/// The time of day without its zone, and the zone in seconds east.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (hours, minutes) = time[at + 1..].split_once(':')?;
    let seconds = number(hours, 2)? * 3600 + number(minutes, 2)? * 60;
    let sign = if time.as_bytes()[at] == b'-' { -1 } else { 1 };
    Some((&time[..at], sign * seconds))
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let all = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn millis_of(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let first: String = fraction.chars().chain("00".chars()).take(3).collect();
    first.parse().ok()
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for ms in [0, 951_782_400_000, 1_795_291_200_000, 4_102_444_799_000] {
            assert_eq!(parse(&show(ms)), Some(ms + 999), "{}", show(ms));
        }
        assert_eq!(show(951_782_400_000), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn zones_fractions_and_numbers_are_understood() {
        let base = 951_782_400_000;
        assert_eq!(parse("2000-02-29T02:00:00.250+02:00"), Some(base + 250));
        assert_eq!(parse("2000-02-28 22:00:00.5-02:00"), Some(base + 500));
        assert_eq!(parse("2000-02-29"), Some(base + 86_400_000 - 1));
        assert_eq!(parse("2000-02-29 00:00"), Some(base + 59_999));
        assert_eq!(parse("951782400"), Some(base + 999));
        assert_eq!(parse("951782400123"), Some(951_782_400_123_000 + 999));
        assert_eq!(parse("1795291200123"), Some(1_795_291_200_123));
        for odd in [
            "",
            "x",
            "2000-13-01",
            "2000-02-29T25:00:00",
            "yesterday",
            "12:00",
            "2000-2-9",
        ] {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }
}
