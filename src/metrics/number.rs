//! Numbers, whole or with a fraction: Java prints the two differently.

/// A whole number, or one with a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Java's int or long.
    Int(i64),
    /// Java's double.
    Float(f64),
}

impl Number {
    /// As a double: Prometheus knows nothing else.
    pub fn float(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number::Int(value)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Number::from(value as u64)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number::Float(value)
    }
}
