#include "penstock/rt/event_loop.hpp"

namespace penstock::rt {

Flushable::~Flushable() {
  if (list_ != nullptr) list_->Remove(*this);
}

void FlushList::Add(Flushable& flushable) noexcept {
  if (flushable.list_ != nullptr) return;
  flushable.list_ = this;
  flushable.next_ = nullptr;
  (tail_ == nullptr ? head_ : tail_->next_) = &flushable;
  tail_ = &flushable;
}

void FlushList::Remove(Flushable& flushable) noexcept {
  if (flushable.list_ != this) return;
  Flushable** link = &head_;
  Flushable* previous = nullptr;
  while (*link != &flushable) {
    previous = *link;
    link = &previous->next_;
  }
  *link = flushable.next_;
  if (tail_ == &flushable) tail_ = previous;
  flushable.list_ = nullptr;
}

void FlushList::Run() {
  while (head_ != nullptr) {
    Flushable* flushable = head_;
    head_ = flushable->next_;
    if (head_ == nullptr) tail_ = nullptr;
    flushable->list_ = nullptr;
    flushable->Flush();
  }
}

}  // namespace penstock::rt
