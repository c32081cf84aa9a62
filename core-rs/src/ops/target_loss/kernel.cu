// Binary cross-entropy, or squared error, of a row of logits against a number for each entry, by one thread.

/// loss[n], the mean over the entries of a row, and rank[n], how many of its labels are on the wrong side of one half (−1 of
/// values), from logits[n, K] and targets[n, K]; `gradient[n, K]`, if given. A row whose first target is no number is padding:
/// it costs nothing, is never right and has no gradient.
KERNEL(target_loss)(int n, int k, int squared, Pointer<const float> logits, Pointer<const float> targets,
                    Pointer<float> loss, Pointer<int> rank, Pointer<act> gradient) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= n) return;
    const long long at = (long long)row * k;
    const float first = targets[at], share = 1.0f / k;
    const bool padding = first != first;
    float sum = 0.0f;
    int wrong = 0;
    for (int i = 0; i < k; i++) {
        float slope = 0.0f;
        if (!padding) {
            const float x = logits[at + i], target = targets[at + i];
            if (squared) {
                sum += (x - target) * (x - target);
                slope = 2.0f * (x - target);
            } else {
                const float small = expf(-fabsf(x));
                sum += fmaxf(x, 0.0f) - x * target + log1pf(small);
                slope = (x >= 0.0f ? 1.0f : small) / (1.0f + small) - target;
                wrong += (x > 0.0f) != (target > 0.5f);
            }
        }
        if (gradient) gradient[at + i] = narrow<act>(slope * share);
    }
    loss[row] = sum * share;
    rank[row] = padding || squared ? -1 : wrong;
}
EXPORT(target_loss)
