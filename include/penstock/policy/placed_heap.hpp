#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace penstock::policy {

/// Owned by one Worker. Or by what its holder is. A binary heap of pointers whose elements know their place (`Place`, a
/// std::size_t member), so that any of them leaves in O(log n). `Before(a, b)` is a strict order. No allocation once it
/// was as large before.
template <class T, std::size_t T::*Place, class Before>
class PlacedHeap {
 public:
  bool empty() const noexcept { return elements_.empty(); }
  std::size_t size() const noexcept { return elements_.size(); }
  T& top() const noexcept { return *elements_.front(); }
  const std::vector<T*>& elements() const noexcept { return elements_; }  ///< in no order

  void Insert(T& element) {
    elements_.push_back(&element);
    element.*Place = elements_.size() - 1;
    Rise(elements_.size() - 1);
  }
  void Erase(T& element) noexcept {
    const std::size_t hole = element.*Place;
    T* const last = elements_.back();
    elements_.pop_back();
    if (last == &element) return;
    Set(hole, *last);
    Rise(hole);
    Sink(last->*Place);
  }
  /// The order of `element` has changed.
  void Reorder(T& element) noexcept {
    Rise(element.*Place);
    Sink(element.*Place);
  }

 private:
  void Set(std::size_t place, T& element) noexcept {
    elements_[place] = &element;
    element.*Place = place;
  }
  void Swap(std::size_t a, std::size_t b) noexcept {
    T& first = *elements_[a];
    Set(a, *elements_[b]);
    Set(b, first);
  }
  void Rise(std::size_t place) noexcept {
    while (place != 0 && Before{}(*elements_[place], *elements_[(place - 1) / 2])) {
      Swap(place, (place - 1) / 2);
      place = (place - 1) / 2;
    }
  }
  void Sink(std::size_t place) noexcept {
    while (2 * place + 1 < elements_.size()) {
      std::size_t child = 2 * place + 1;
      if (child + 1 < elements_.size() && Before{}(*elements_[child + 1], *elements_[child])) ++child;
      if (!Before{}(*elements_[child], *elements_[place])) return;
      Swap(place, child);
      place = child;
    }
  }

  std::vector<T*> elements_;
};

}  // namespace penstock::policy
