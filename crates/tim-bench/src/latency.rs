//! How long something took, many times over.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A distribution of durations, to three significant digits.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

impl Latency {
    /// No durations yet.
    ///
    /// # Panics
    /// Never: the number of digits is valid.
    #[must_use]
    pub fn new() -> Self {
        Self(Histogram::new(3).expect("three digits are valid"))
    }

    /// Adds one.
    pub fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // It grows with what is recorded; centuries are beyond it, and are recorded as its end.
        if self.0.record(nanos).is_err() {
            self.0.saturating_record(nanos);
        }
    }

    /// Adds all of these.
    pub fn add(&mut self, more: &Self) {
        // The histogram grows with what is added, so nothing is out of its range.
        if self.0.add(&more.0).is_err() {
            debug_assert!(false, "a histogram that grows takes everything");
        }
    }

    /// Each class of durations that has any: its upper end in nanoseconds, and how many there are. [`of_classes`](Self::of_classes)
    /// makes the same distribution of them, in another process for example.
    #[must_use]
    pub fn classes(&self) -> Vec<(u64, u64)> {
        let recorded = self.0.iter_recorded();
        recorded
            .map(|class| {
                (
                    class.value_iterated_to().min(self.0.max()),
                    class.count_at_value(),
                )
            })
            .collect()
    }

    /// The distribution with these [`classes`](Self::classes).
    #[must_use]
    pub fn of_classes(classes: &[(u64, u64)]) -> Self {
        let mut latency = Self::new();
        for (nanos, count) in classes {
            if latency.0.record_n(*nanos, *count).is_err() {
                latency.0.saturating_record_n(*nanos, *count);
            }
        }
        latency
    }

    /// How many took at most this long, to three digits.
    #[must_use]
    pub fn within(&self, limit: Duration) -> u64 {
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let classes = self.0.iter_recorded();
        let short = classes.take_while(|class| class.value_iterated_to().min(self.0.max()) <= limit);
        short.map(|class| class.count_at_value()).sum()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The duration that this fraction of them does not exceed; zero if there are none.
    #[must_use]
    pub fn quantile(&self, fraction: f64) -> Duration {
        if self.0.is_empty() {
            return Duration::ZERO;
        }
        // The upper end of its class may lie above the longest.
        let nanos = self.0.value_at_quantile(fraction).min(self.0.max());
        Duration::from_nanos(nanos)
    }

    /// The longest; zero if there are none.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.quantile(1.0)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Extend<Duration> for Latency {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, durations: T) {
        durations.into_iter().for_each(|duration| self.record(duration));
    }
}

impl FromIterator<Duration> for Latency {
    fn from_iter<T: IntoIterator<Item = Duration>>(durations: T) -> Self {
        let mut latency = Self::new();
        latency.extend(durations);
        latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_three_digits() {
        let mut latency: Latency = (1..=1_000).map(Duration::from_micros).collect();
        let close = |got: Duration, micros: u64| {
            let off = got.as_nanos().abs_diff(u128::from(micros) * 1_000);
            assert!(off <= u128::from(micros), "{got:?} is not {micros} us");
        };
        close(latency.quantile(0.5), 500);
        close(latency.quantile(0.99), 990);
        close(latency.quantile(0.999), 999);
        close(latency.max(), 1_000);
        latency.add(&std::iter::once(Duration::from_secs(100)).collect());
        assert_eq!(latency.count(), 1_001);
        close(latency.max(), 100_000_000);
        close(latency.quantile(0.5), 501);
    }

    #[test]
    fn classes_carry_a_distribution_elsewhere() {
        let mut latency: Latency = (1..=500).map(Duration::from_micros).collect();
        latency.record(Duration::from_secs(7));
        let copy = Latency::of_classes(&latency.classes());
        assert_eq!(copy.count(), 501);
        for fraction in [0.1, 0.5, 0.99, 0.999, 1.0] {
            assert_eq!(copy.quantile(fraction), latency.quantile(fraction), "{fraction}");
        }
        assert!(Latency::of_classes(&[]).classes().is_empty());
    }

    #[test]
    fn what_took_at_most_so_long_is_counted() {
        let latency: Latency = [1, 2, 2, 30, 400]
            .map(Duration::from_millis)
            .into_iter()
            .collect();
        let within = |millis| latency.within(Duration::from_millis(millis));
        // A class may end a thousandth above the limit.
        assert_eq!([0, 1, 3, 31, 399, 401, 10_000].map(within), [0, 0, 3, 4, 4, 5, 5]);
    }

    #[test]
    fn without_durations_there_is_no_quantile() {
        assert_eq!(Latency::new().quantile(0.99), Duration::ZERO);
    }
}
