// An ensemble of weather models in plain memory: many of Lorenz's systems of 1963, each begun a little differently,
// stepped by Boost.odeint, and observations to score them by. No pointers: it is the same bytes wherever it lies.
#pragma once

#include <boost/numeric/odeint/stepper/runge_kutta4.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>

namespace parallel_what_if {

using State = std::array<double, 3>;

struct Part {
  std::size_t first, end;  // systems
};

/// A view of the ensemble's bytes; whose they are is the caller's business.
class Ensemble {
 public:
  static std::size_t bytes_for(std::size_t systems, std::size_t observations) {
    return sizeof(Header) + systems * sizeof(State) + observations * sizeof(State);
  }

  explicit Ensemble(std::byte* memory) : header_(reinterpret_cast<Header*>(memory)) {}

  void begin(std::size_t systems, std::size_t observations) {
    *header_ = {28.0, systems, observations};
    for (std::size_t i = 0; i < systems; ++i) {
      states()[i] = {1.0 + 1e-3 * static_cast<double>(i % 97), 1.0, 20.0 - 1e-3 * static_cast<double>(i % 89)};
    }
    for (std::size_t i = 0; i < observations; ++i) {
      const double x = static_cast<double>(i % 1013) / 1013;
      observations_begin()[i] = {8 * x - 4, 9 * x - 5, 18 + 12 * x};
    }
  }

  std::size_t systems() const { return header_->systems; }
  Part all() const { return {0, systems()}; }
  void set_heating(double heating) { header_->heating = heating; }

  /// Only the states of the part are written, and each depends on itself alone.
  void integrate(Part part, std::size_t steps) {
    constexpr double sigma = 10, beta = 8.0 / 3, dt = 0.01;
    const double rho = header_->heating;
    const auto lorenz = [rho](const State& s, State& change, double) {
      change = {sigma * (s[1] - s[0]), rho * s[0] - s[1] - s[0] * s[2], s[0] * s[1] - beta * s[2]};
    };
    boost::numeric::odeint::runge_kutta4<State> stepper;
    for (std::size_t i = part.first; i < part.end; ++i) {
      for (std::size_t step = 0; step < steps; ++step) {
        stepper.do_step(lorenz, states()[i], dt * static_cast<double>(step), dt);
      }
    }
  }

  /// The mean distance from the observations: less is better.
  double distance() const {
    double sum = 0;
    for (std::size_t i = 0; i < systems(); ++i) {
      const State &state = states()[i], &seen = observations_begin()[i % header_->observations];
      sum += std::hypot(state[0] - seen[0], state[1] - seen[1], state[2] - seen[2]);
    }
    return sum / static_cast<double>(systems());
  }

 private:
  struct Header {
    double heating;
    std::size_t systems, observations;
  };

  State* states() const { return reinterpret_cast<State*>(header_ + 1); }
  State* observations_begin() const { return states() + header_->systems; }

  Header* header_;
};

}  // namespace parallel_what_if
