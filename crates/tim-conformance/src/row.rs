//! The rows of the requirements, and the check of each.

use crate::chapters;
use crate::check::Verdict;
use crate::lab::Lab;
use crate::target::Boxed;

/// A row of `docs/requirements.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirement {
    /// The number of the row.
    pub number: u16,
    /// The chapter.
    pub chapter: &'static str,
    /// What the manual asks for.
    pub asks: &'static str,
}

/// All rows, in their order.
pub fn requirements() -> impl Iterator<Item = Requirement> {
    rows().map(|(chapter, row)| Requirement {
        number: row.number,
        chapter,
        asks: row.asks,
    })
}

/// A chapter of the requirements.
pub(crate) struct Chapter {
    pub(crate) name: &'static str,
    pub(crate) rows: &'static [Row],
}

pub(crate) struct Row {
    pub(crate) number: u16,
    pub(crate) asks: &'static str,
    pub(crate) check: Check,
}

/// A check: given its own users and groups, it says whether the row is kept.
pub(crate) type Check = for<'a> fn(&'a Lab) -> Boxed<'a, Verdict>;

/// All rows with their chapters.
pub(crate) fn rows() -> impl Iterator<Item = (&'static str, &'static Row)> {
    chapters::ALL
        .iter()
        .flat_map(|chapter| chapter.rows.iter().map(|row| (chapter.name, row)))
}

/// A table of rows. The check is an async function of the [`Lab`], or one of `not applicable: "why"` and
/// `not built: "what is missing"`.
macro_rules! table {
    (@check not applicable: $why:literal) => { |_| Box::pin(async { Err($crate::check::Stop::NotApplicable($why.into())) }) };
    (@check not built: $what:literal) => { |_| Box::pin(async { Err($crate::check::Stop::NotBuilt($what.into())) }) };
    (@check $check:expr) => { |lab| Box::pin($check(lab)) };
    ($($number:literal, $asks:literal, { $($check:tt)+ };)+) => {
        &[$($crate::row::Row {
            number: $number,
            asks: $asks,
            check: $crate::row::table!(@check $($check)+),
        }),+]
    };
}
pub(crate) use table;
