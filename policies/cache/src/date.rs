//! HTTP-date (RFC 9110 section 5.6.7), in seconds since 1970.

const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
const DAYS: &[u8; 21] = b"MonTueWedThuFriSatSun";
const LONG_DAYS: [&[u8]; 7] =
    [b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday", b"Sunday"];
const DAY: i64 = 86_400;

/// Reads a date in any of the three formats. `now` tells what century a year of two digits means.
pub fn parse(text: &[u8], now: i64) -> Option<i64> {
    let comma = text.iter().position(|&byte| byte == b',');
    match comma {
        Some(3) => fixed(text),
        Some(at) => long(&text[..at], &text[at..], now),
        None => asctime(text),
    }
}

/// The preferred format: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn format(seconds: i64) -> String {
    let days = seconds.div_euclid(DAY);
    let time = seconds.rem_euclid(DAY);
    let (year, month, day) = civil(days);
    let week = (days + 3).rem_euclid(7) as usize;
    let text = |names: &'static [u8], at: usize| {
        std::str::from_utf8(&names[at * 3..at * 3 + 3]).unwrap_or("")
    };
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        text(DAYS, week),
        text(MONTHS, month as usize - 1),
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn fixed(text: &[u8]) -> Option<i64> {
    let known = text.len() == 29 && is_day(&text[..3]) && &text[3..5] == b", ";
    if !known || text[7] != b' ' || text[11] != b' ' || text[16] != b' ' || !text.ends_with(b" GMT")
    {
        return None;
    }
    moment(
        number(&text[12..16])?,
        month(&text[8..11])?,
        number(&text[5..7])?,
        clock(&text[17..25])?,
    )
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn long(day: &[u8], rest: &[u8], now: i64) -> Option<i64> {
    if !LONG_DAYS.contains(&day)
        || rest.len() != 24
        || !rest.starts_with(b", ")
        || !rest.ends_with(b" GMT")
    {
        return None;
    }
    if rest[4] != b'-' || rest[8] != b'-' || rest[11] != b' ' {
        return None;
    }
    let this_year = civil(now.div_euclid(DAY)).0;
    let mut year = this_year - this_year % 100 + number(&rest[9..11])?;
    if year > this_year + 50 {
        year -= 100;
    }
    moment(year, month(&rest[5..8])?, number(&rest[2..4])?, clock(&rest[12..20])?)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<i64> {
    let known = text.len() == 24 && is_day(&text[..3]) && text[3] == b' ';
    if !known || text[7] != b' ' || text[10] != b' ' || text[19] != b' ' {
        return None;
    }
    let day = if text[8] == b' ' { number(&text[9..10])? } else { number(&text[8..10])? };
    moment(number(&text[20..24])?, month(&text[4..7])?, day, clock(&text[11..19])?)
}

fn is_day(name: &[u8]) -> bool {
    DAYS.chunks(3).any(|day| day == name)
}

fn month(name: &[u8]) -> Option<i64> {
    MONTHS.chunks(3).position(|month| month == name).map(|index| index as i64 + 1)
}

fn number(digits: &[u8]) -> Option<i64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// Seconds of the day; a leap second is the one before.
fn clock(text: &[u8]) -> Option<i64> {
    if text[2] != b':' || text[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (number(&text[..2])?, number(&text[3..5])?, number(&text[6..])?);
    let valid = hour < 24 && minute < 60 && second <= 60;
    valid.then(|| hour * 3600 + minute * 60 + second.min(59))
}

fn moment(year: i64, month: i64, day: i64, time: i64) -> Option<i64> {
    let days = days_before(year, month, day);
    if civil(days) != (year, month, day) {
        return None;
    }
    Some(days * DAY + time)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, whose years begin in March here.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days - 719_468
}

/// The reverse of [`days_before`]: year, month, day.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + years + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28
    const NOW: i64 = 1_795_824_000;

    #[test]
    fn reads_all_formats() {
        let cases = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", Some(-1)),
            ("Thu, 29 Feb 2024 12:00:00 GMT", Some(1_709_208_000)),
            ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_799)),
            ("Thursday, 18-Aug-50 02:01:18 GMT", Some(2_544_400_878)),
            ("Saturday, 18-Aug-77 02:01:18 GMT", Some(240_717_678)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text.as_bytes(), NOW), want, "{text}");
        }
    }

    #[test]
    fn takes_nothing_else_for_a_date() {
        let cases = [
            "",
            "0",
            "foo",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "THU, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 AUG 2050 02:01:18 GMT",
            "Thu, 30 Feb 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT",
            "Thu, 00 Aug 2050 02:01:18 GMT",
        ];
        for text in cases {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for seconds in (-3_000_000_000..9_000_000_000).step_by(7_777_777) {
            assert_eq!(parse(format(seconds).as_bytes(), NOW), Some(seconds));
        }
    }

    #[test]
    fn reads_anything() {
        crate::random::bytes(b"Sun, 06 Nov-1994:GMT", 2000, |text| {
            parse(text, NOW);
        });
    }
}
