//! The functions between two dense layers, under Hugging Face's names. Forward, mostly fused into the product before
//! ([`crate::ops::gemm::epilogue::BiasActivation`]), keeps the slope: all that backward needs, whatever the function.

pub mod cuda;

use crate::machine::dtype::Element;
use crate::machine::simd::{gelu_and_slope, sigmoid, vectorize};
use crate::machine::threads::{Shards, Threads};
use crate::ops::dropout::Dropout;

/// Names of a `config.json`'s `hidden_act`, with what they mean.
const NAMES: [(&str, Activation); 8] = [
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("relu2", Activation::SquaredRelu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
];

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x Φ(x) (Hendrycks and Gimpel, 2016).
    Gelu,
    /// Its approximation by a hyperbolic tangent: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) (the same).
    GeluTanh,
    /// max(x, 0)
    Relu,
    /// max(x, 0)² (So et al., 2021).
    SquaredRelu,
    /// x σ(x) (Elfwing et al., 2018).
    Silu,
}

impl Activation {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Gelu, Self::GeluTanh, Self::Relu, Self::SquaredRelu, Self::Silu];

    /// The function of that name.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, activation)| *activation)
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

/// The approximation of GELU and its slope: x σ(v) with v = 2 √(2/π) (x + 0.044715 x³).
#[inline(always)]
fn gelu_tanh(x: f32) -> (f32, f32) {
    const TWICE_ROOT: f32 = 1.595_769;
    let square = x * x;
    let (v, dv) = (TWICE_ROOT * x * square.mul_add(0.044_715, 1.0), TWICE_ROOT * square.mul_add(0.134_145, 1.0));
    let s = sigmoid(v);
    (x * s, (x * s * (1.0 - s)).mul_add(dv, s))
}

/// A NaN stays one.
#[inline(always)]
fn relu(x: f32) -> (f32, f32) {
    (if x < 0.0 { 0.0 } else { x }, if x > 0.0 { 1.0 } else { 0.0 })
}

#[inline(always)]
fn squared_relu(x: f32) -> (f32, f32) {
    let (y, _) = relu(x);
    (y * y, 2.0 * y)
}

#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    let s = sigmoid(x);
    (x * s, (x * s).mul_add(1.0 - s, s))
}

/// Something that is done with a function of value and slope, compiled for each of them.
pub(crate) trait Visitor {
    /// Does it.
    fn visit(self, function: impl Fn(f32) -> (f32, f32));
}

impl Activation {
    /// Hands the function to `visitor`, as precise as `T` deserves, so that loops over it become vector code.
    #[inline(always)]
    pub(crate) fn apply<T: Element>(self, visitor: impl Visitor) {
        match self {
            Self::Gelu => visitor.visit(
                #[inline(always)]
                |x| gelu_and_slope::<T>(x),
            ),
            Self::GeluTanh => visitor.visit(gelu_tanh),
            Self::Relu => visitor.visit(relu),
            Self::SquaredRelu => visitor.visit(squared_relu),
            Self::Silu => visitor.visit(silu),
        }
    }

    /// Value and slope at x, for tests.
    pub fn at(self, x: f32) -> (f32, f32) {
        struct At<'a>(f32, &'a mut (f32, f32));
        impl Visitor for At<'_> {
            #[inline(always)]
            fn visit(self, function: impl Fn(f32) -> (f32, f32)) {
                *self.1 = function(self.0);
            }
        }
        let mut found = (0.0, 0.0);
        self.apply::<f32>(At(x, &mut found));
        found
    }
}

/// Elements that a thread works on at a time.
const BLOCK: usize = 1 << 13;

/// `y = f(x)`, and x becomes the slope there.
pub fn forward<T: Element>(threads: &Threads, activation: Activation, x: &mut [T], y: &mut [T]) {
    struct Part<'a, T>(&'a mut [T], &'a mut [T]);
    impl<T: Element> Visitor for Part<'_, T> {
        #[inline(always)]
        fn visit(self, function: impl Fn(f32) -> (f32, f32)) {
            for (x, y) in self.0.iter_mut().zip(self.1) {
                let (value, slope) = function(x.to_f32());
                (*x, *y) = (T::from_f32(slope), T::from_f32(value));
            }
        }
    }
    assert_eq!(x.len(), y.len());
    let (len, x, y) = (x.len(), Shards::new(x), Shards::new(y));
    threads.run(len.div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(len);
        // SAFETY: blocks are disjoint.
        let (x, y) = unsafe { (x.part(range.clone()), y.part(range)) };
        vectorize(
            #[inline(always)]
            || activation.apply::<T>(Part(x, y)),
        );
    });
}

/// `gradient *= slope`, with the slope that the forward pass has kept.
pub fn backward<T: Element>(threads: &Threads, gradient: &mut [T], slope: &[T]) {
    let (len, gradient) = (gradient.len(), Shards::new(gradient));
    threads.run(len.div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(len);
        // SAFETY: blocks are disjoint.
        let gradient = unsafe { gradient.part(range.clone()) };
        let slope = &slope[range];
        vectorize(
            #[inline(always)]
            || {
                for (g, slope) in gradient.iter_mut().zip(slope) {
                    *g = T::from_f32(g.to_f32() * slope.to_f32());
                }
            },
        );
    });
}

/// `y = dropout(activated · y)`, where y is the gate. `slope` becomes slope · gate and `activated` itself, both with the
/// dropout: what the gradient of y is multiplied by on its way back ([`backward`]).
pub fn gate<T: Element>(threads: &Threads, dropout: Dropout, slope: &mut [T], activated: &mut [T], y: &mut [T]) {
    assert!(slope.len() == y.len() && activated.len() == y.len());
    let len = y.len();
    let (slope, activated, y) = (Shards::new(slope), Shards::new(activated), Shards::new(y));
    threads.run(len.div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(len);
        let first = range.start as u32;
        // SAFETY: blocks are disjoint.
        let [slope, activated, y] =
            unsafe { [slope.part(range.clone()), activated.part(range.clone()), y.part(range)] };
        vectorize(
            #[inline(always)]
            || {
                let factors = dropout.factors(first, y.len());
                for (((slope, activated), y), keep) in slope.iter_mut().zip(activated).zip(y).zip(factors) {
                    let gate = y.to_f32();
                    *activated = T::from_f32(activated.to_f32() * keep);
                    *slope = T::from_f32(slope.to_f32() * (gate * keep));
                    *y = T::from_f32(activated.to_f32() * gate);
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In f64, from the formulas.
    fn exact(activation: Activation, x: f64) -> f64 {
        let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
        match activation {
            Activation::Gelu => x * f64::from(crate::machine::simd::normal(x as f32).0),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }
            Activation::Relu => x.max(0.0),
            Activation::SquaredRelu => x.max(0.0).powi(2),
            Activation::Silu => x * sigmoid(x),
        }
    }

    #[test]
    fn values_and_slopes_are_within_a_millionth_of_f64() {
        for activation in Activation::ALL {
            for i in -2000..=2000 {
                let x = f64::from(i) * 0.01 + 0.001;
                let (y, slope) = activation.at(x as f32);
                let scale = x.abs().max(1.0).powi(2);
                assert!((f64::from(y) - exact(activation, x)).abs() < 1e-6 * scale, "{activation:?}({x}) = {y}");
                let difference = (exact(activation, x + 1e-4) - exact(activation, x - 1e-4)) / 2e-4;
                let tolerance = if activation == Activation::Gelu { 3e-3 } else { 1e-5 * scale };
                assert!(
                    (f64::from(slope) - difference).abs() < tolerance,
                    "{activation:?}'({x}) = {slope}, {difference}"
                );
            }
        }
    }

    #[test]
    fn forward_leaves_values_and_slopes_whatever_the_team() {
        let x: Vec<f32> = (0..BLOCK + 77).map(|i| i as f32 * 0.002 - 8.0).collect();
        for (activation, team) in Activation::ALL.into_iter().flat_map(|activation| [(activation, 1), (activation, 3)])
        {
            let (mut slopes, mut y) = (x.clone(), vec![9.0; x.len()]);
            forward(&Threads::new(team), activation, &mut slopes, &mut y);
            for ((x, y), slope) in x.iter().zip(&y).zip(&slopes) {
                let expected = activation.at(*x);
                assert!((y - expected.0).abs() < 1e-5 && (slope - expected.1).abs() < 1e-5, "{activation:?}({x})");
            }
        }
    }

    #[test]
    fn functions_end_where_they_should_and_keep_nan() {
        for activation in Activation::ALL {
            let (y, slope) = activation.at(-1e4);
            assert!(y.abs() < 1e-30 && slope.abs() < 1e-30, "{activation:?}(-1e4) = {y}, {slope}");
            let (y, slope) = activation.at(1e4);
            let expected = if activation == Activation::SquaredRelu { (1e8, 2e4) } else { (1e4, 1.0) };
            assert_eq!((y, slope), expected, "{activation:?}");
            assert!(activation.at(f32::NAN).0.is_nan(), "{activation:?}");
        }
    }

    #[test]
    fn named_knows_the_names_of_transformers_and_no_others() {
        assert_eq!(Activation::named("gelu_fast"), Some(Activation::GeluTanh));
        assert_eq!(Activation::named("swish"), Some(Activation::Silu));
        for other in ["quick_gelu", "GELU", "tanh", ""] {
            assert_eq!(Activation::named(other), None, "{other}");
        }
        assert_eq!(Activation::names().count(), NAMES.len());
    }
}
