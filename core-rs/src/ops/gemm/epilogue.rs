//! What happens to a finished register tile: the end of a product and the beginning of what follows it. An epilogue edits
//! the tile while it is in the first cache and then stores it.

use super::Size;
use super::output::{LARGEST, Output, Tile};
use crate::machine::dtype::Element;
use crate::machine::simd::{combine, prefetch};
use crate::machine::threads::Shards;
use crate::ops::activation::{Activation, Visitor};
use crate::ops::dropout::Dropout;

/// Takes finished tiles of one product. Tiles come in any order, from several threads.
pub trait Epilogue: Sync {
    /// Panics unless there is room for a product of that size.
    fn check(&self, size: Size);

    /// Whether a tile of that place and height is needed: the others are not computed.
    fn needs(&self, _row: usize, _column: usize, _height: usize) -> bool {
        true
    }

    /// Begins to fetch what `finish` will read for the tile of that place and size.
    fn prefetch(&self, _row: usize, _column: usize, _height: usize, _width: usize) {}

    /// Begins to fetch what `finish` will write without reading it.
    fn prefetch_output(&self, _row: usize, _column: usize, _height: usize, _width: usize) {}

    /// Takes a tile.
    fn finish(&self, tile: &mut Tile);
}

/// `c = x`
pub struct Store<T>(Output<T>);

impl<T: Element> Store<T> {
    /// Into rows of `c` that are `stride` apart.
    pub fn new(c: &mut [T], stride: usize) -> Self {
        Self(Output::new(c, stride))
    }

    /// Into elements that other blocks of a run also have rows between: rows of `shards` from element `first` on, `stride`
    /// apart.
    ///
    /// # Safety
    /// No other block may touch the elements of C, and what `shards` lends has to outlive the product.
    pub unsafe fn into_shards(shards: Shards<T>, first: usize, stride: usize) -> Self {
        Self(Output::in_shards(shards, first, stride))
    }
}

impl<T: Element> Epilogue for Store<T> {
    fn check(&self, size: Size) {
        self.0.check(size);
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.0.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        self.0.store(tile, tile.values);
    }
}

/// `c += x`
pub struct Add(Output<f32>);

impl Add {
    /// Into rows of `c` that are `stride` apart.
    pub fn new(c: &mut [f32], stride: usize) -> Self {
        Self(Output::new(c, stride))
    }
}

impl Epilogue for Add {
    fn check(&self, size: Size) {
        self.0.check(size);
    }

    fn prefetch(&self, row: usize, column: usize, height: usize, width: usize) {
        self.0.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        let c = self.0.of(tile);
        tile.edit(
            #[inline(always)]
            |r, x| combine(c.row(r, x.len()), x, |c, x| c + x),
        );
    }
}

/// `c = 0 + x`: what [`Add`] makes of zeros, to the bit (0 + −0 is 0), whatever is there.
pub struct Begin(Output<f32>);

impl Begin {
    /// Into rows of `c` that are `stride` apart.
    pub fn new(c: &mut [f32], stride: usize) -> Self {
        Self(Output::new(c, stride))
    }
}

impl Epilogue for Begin {
    fn check(&self, size: Size) {
        self.0.check(size);
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.0.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        let c = self.0.of(tile);
        tile.edit(
            #[inline(always)]
            |r, x| combine(c.row(r, x.len()), x, |_, x| 0.0 + x),
        );
    }
}

/// What a layer without biases adds to a tile.
static ZEROS: [f32; LARGEST] = [0.0; LARGEST];

/// The bias of a tile's columns.
#[inline(always)]
pub(super) fn bias_of<'a>(bias: Option<&'a [f32]>, tile: &Tile) -> &'a [f32] {
    match bias {
        Some(bias) => &bias[tile.column..][..tile.width],
        None => &ZEROS[..tile.width],
    }
}

/// `c = x + bias[j]`
pub struct Bias<'a, T> {
    bias: Option<&'a [f32]>,
    c: Output<T>,
}

impl<'a, T: Element> Bias<'a, T> {
    /// Into rows of `c` that are `stride` apart.
    pub fn new(bias: Option<&'a [f32]>, c: &mut [T], stride: usize) -> Self {
        Self { bias, c: Output::new(c, stride) }
    }
}

impl<T: Element> Epilogue for Bias<'_, T> {
    fn check(&self, size: Size) {
        self.c.check(size);
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.c.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        let bias = bias_of(self.bias, tile);
        tile.edit(
            #[inline(always)]
            |_, x| combine(x, &bias[..x.len()], |x, bias| x + bias),
        );
        self.c.store(tile, tile.values);
    }
}

/// `c = f(x + bias[j])`; `slope` keeps the derivative of f there, which is all that backward needs.
pub struct BiasActivation<'a, T> {
    bias: Option<&'a [f32]>,
    activation: Activation,
    slope: Output<T>,
    c: Output<T>,
}

impl<'a, T: Element> BiasActivation<'a, T> {
    /// Into rows of `slope` and `c` that are `stride` apart.
    pub fn new(bias: Option<&'a [f32]>, activation: Activation, slope: &mut [T], c: &mut [T], stride: usize) -> Self {
        Self { bias, activation, slope: Output::new(slope, stride), c: Output::new(c, stride) }
    }
}

impl<T: Element> Epilogue for BiasActivation<'_, T> {
    fn check(&self, size: Size) {
        self.slope.check(size);
        self.c.check(size);
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.slope.prefetch(row, column, height, width);
        self.c.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        let bias = bias_of(self.bias, tile);
        let mut slopes = [0.0f32; LARGEST];
        self.activation.apply::<T>(Activate { bias, slopes: &mut slopes, tile: &mut *tile });
        self.slope.store(tile, &slopes);
        self.c.store(tile, tile.values);
    }
}

/// Makes a tile's values those of a function, and keeps its slopes, as far apart as the values.
struct Activate<'a, 'b> {
    bias: &'a [f32],
    slopes: &'a mut [f32; LARGEST],
    tile: &'a mut Tile<'b>,
}

impl Visitor for Activate<'_, '_> {
    #[inline(always)]
    fn visit(self, function: impl Fn(f32) -> (f32, f32)) {
        let Self { bias, slopes, tile } = self;
        let stride = tile.stride;
        tile.edit(
            #[inline(always)]
            |r, x| {
                let slopes = &mut slopes[r * stride..][..x.len()];
                for ((x, slope), b) in x.iter_mut().zip(slopes).zip(bias) {
                    (*x, *slope) = function(*x + b);
                }
            },
        );
    }
}

/// `c = x · slope`, with the slope that [`BiasActivation`] has kept.
pub struct TimesSlope<'a, T> {
    slope: &'a [T],
    c: Output<T>,
}

impl<'a, T: Element> TimesSlope<'a, T> {
    /// Into rows of `c`, and from rows of `slope`, that are `stride` apart.
    pub fn new(slope: &'a [T], c: &mut [T], stride: usize) -> Self {
        assert!(slope.len() >= c.len(), "gemm: the slope is shorter than C");
        Self { slope, c: Output::new(c, stride) }
    }
}

impl<T: Element> Epilogue for TimesSlope<'_, T> {
    fn check(&self, size: Size) {
        self.c.check(size);
    }

    fn prefetch(&self, row: usize, column: usize, height: usize, width: usize) {
        (row..row + height).for_each(|row| prefetch(&self.slope[self.c.index(row, column)], width));
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.c.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        let (row, column) = (tile.row, tile.column);
        tile.edit(
            #[inline(always)]
            |r, x| {
                let slope = &self.slope[self.c.index(row + r, column)..][..x.len()];
                combine(x, slope, |x, slope| x * slope);
            },
        );
        self.c.store(tile, tile.values);
    }
}

/// `c = dropout(x + bias[j]) + residual`: what stands before a LayerNorm.
pub struct BiasDropoutResidual<'a, T> {
    bias: Option<&'a [f32]>,
    dropout: Dropout,
    residual: &'a [T],
    c: Output<T>,
}

impl<'a, T: Element> BiasDropoutResidual<'a, T> {
    /// Into rows of `c`, and from rows of `residual`, that are `stride` apart.
    pub fn new(bias: Option<&'a [f32]>, dropout: Dropout, residual: &'a [T], c: &mut [T], stride: usize) -> Self {
        assert!(residual.len() >= c.len(), "gemm: the residual is shorter than C");
        Self { bias, dropout, residual, c: Output::new(c, stride) }
    }
}

impl<T: Element> Epilogue for BiasDropoutResidual<'_, T> {
    fn check(&self, size: Size) {
        self.c.check(size);
    }

    fn prefetch(&self, row: usize, column: usize, height: usize, width: usize) {
        (row..row + height).for_each(|row| prefetch(&self.residual[self.c.index(row, column)], width));
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.c.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        let bias = bias_of(self.bias, tile);
        let (row, column, dropout) = (tile.row, tile.column, self.dropout);
        tile.edit(
            #[inline(always)]
            |r, x| {
                let at = self.c.index(row + r, column);
                let residual = &self.residual[at..][..x.len()];
                let factors = dropout.factors(at as u32, x.len());
                for (((x, bias), residual), keep) in x.iter_mut().zip(bias).zip(residual).zip(factors) {
                    *x = (*x + bias).mul_add(keep, residual.to_f32());
                }
            },
        );
        self.c.store(tile, tile.values);
    }
}
