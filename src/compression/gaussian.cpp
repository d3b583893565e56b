#include "compression/gaussian.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace bale::compression {
namespace {

using Matrix = std::array<Row, row_size>;

// Keeps the roots real where two numbers are all but the same.
constexpr double least_variance = 1e-12;

Matrix covariance_of(const RowPrior& prior) {
  Matrix covariance{};
  const double shared = prior.shared_deviation * prior.shared_deviation;
  const double own = prior.own_deviation * prior.own_deviation;
  for (std::size_t i = 0; i < row_size; ++i) {
    for (std::size_t j = 0; j < row_size; ++j) {
      const double distance = std::abs(static_cast<double>(i) - static_cast<double>(j));
      covariance[i][j] = shared + own * std::exp(-distance / prior.reach);
    }
  }
  return covariance;
}

/// The lower triangle L with L L' = matrix (Cholesky); the matrix is symmetric and positive.
Matrix root_of(const Matrix& matrix) {
  Matrix root{};
  for (std::size_t i = 0; i < row_size; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double rest = matrix[i][j];
      for (std::size_t k = 0; k < j; ++k) rest -= root[i][k] * root[j][k];
      root[i][j] = i == j ? std::sqrt(std::max(rest, least_variance)) : rest / root[j][j];
    }
  }
  return root;
}

/// Solves root x = right, for a lower triangle.
Row solve(const Matrix& root, Row right) {
  for (std::size_t i = 0; i < row_size; ++i) {
    for (std::size_t k = 0; k < i; ++k) right[i] -= root[i][k] * right[k];
    right[i] /= root[i][i];
  }
  return right;
}

}  // namespace

// Gaussian process regression in the form that needs no inverse of the prior: with W = count / noise on the diagonal
// and B = 1 + sqrt(W) K sqrt(W), the expectation is m + V' B-root^-1 sqrt(W) (y - m) and the covariance K - V'V, where
// V = B-root^-1 sqrt(W) K. Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), algorithm 3.2.
RowBelief::RowBelief(const RowPrior& prior, const RowMeasurements& measured) {
  const Matrix covariance = covariance_of(prior);
  Row weight{};  // square roots of W
  for (std::size_t i = 0; i < row_size; ++i) weight[i] = std::sqrt(measured.counts[i] / measured.noise_variance);
  Matrix b{};
  for (std::size_t i = 0; i < row_size; ++i)
    for (std::size_t j = 0; j < row_size; ++j)
      b[i][j] = weight[i] * covariance[i][j] * weight[j] + (i == j ? 1.0 : 0.0);
  const Matrix b_root = root_of(b);

  Row surprise{};
  for (std::size_t i = 0; i < row_size; ++i)
    if (weight[i] > 0) surprise[i] = weight[i] * (measured.means[i] - prior.expected[i]);
  surprise = solve(b_root, surprise);

  Matrix v{};  // row c is V's column c
  for (std::size_t c = 0; c < row_size; ++c) {
    Row column{};
    for (std::size_t i = 0; i < row_size; ++i) column[i] = weight[i] * covariance[i][c];
    v[c] = solve(b_root, column);
  }
  Matrix left = covariance;
  expected_ = prior.expected;
  for (std::size_t i = 0; i < row_size; ++i) {
    for (std::size_t k = 0; k < row_size; ++k) expected_[i] += v[i][k] * surprise[k];
    for (std::size_t j = 0; j < row_size; ++j)
      for (std::size_t k = 0; k < row_size; ++k) left[i][j] -= v[i][k] * v[j][k];
  }
  root_ = root_of(left);
}

Row RowBelief::draw(const std::function<double()>& normal) const {
  Row independent{};
  for (double& number : independent) number = normal();
  Row drawn = expected_;
  for (std::size_t i = 0; i < row_size; ++i)
    for (std::size_t k = 0; k <= i; ++k) drawn[i] += root_[i][k] * independent[k];
  return drawn;
}

double NormalNumbers::operator()() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  // 53 random bits each; the first is never 0.
  constexpr double unit = 1.0 / (1ULL << 53);
  const double radius = std::sqrt(-2 * std::log((static_cast<double>(entropy_.next_u64() >> 11) + 1) * unit));
  const double angle = 2 * std::numbers::pi * static_cast<double>(entropy_.next_u64() >> 11) * unit;
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

}  // namespace bale::compression
