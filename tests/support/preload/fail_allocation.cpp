// LD_PRELOAD: an allocation fails, the one that the file named by PENSTOCK_TEST_ALLOCATION wants (FAULTS P-09): eight
// bytes of how many may still succeed, eight of how many fail then, eight that we count the failures in. Any program
// may write them at any time; both are counted down, and with none to fail all is as ever. With sanitizers operator new
// does not call malloc: so it is here as well.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

struct Wish {
  std::atomic<std::int64_t> succeed, fail, failed;
};
Wish* wish = nullptr;
bool ready = false;  // the libraries' own constructors have run, a sanitizer's among them
// operator new calls malloc, dlsym and exceptions allocate: counted once, or not at all
thread_local bool within = false;

__attribute__((constructor)) void Map() {
  ready = true;
  const char* const path = std::getenv("PENSTOCK_TEST_ALLOCATION");
  if (path == nullptr) return;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  void* const page = ::mmap(nullptr, sizeof(Wish), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) std::abort();
  ::close(fd);
  wish = static_cast<Wish*>(page);
}

bool Fails() noexcept {
  if (within || wish == nullptr || wish->fail.load(std::memory_order_relaxed) <= 0) return false;
  if (wish->succeed.fetch_sub(1) > 0) return false;
  if (wish->fail.fetch_sub(1) <= 0) return false;
  wish->failed.fetch_add(1);
  errno = ENOMEM;
  return true;
}

// Who allocates before that: a sanitizer that looks for what it intercepts is not to be asked. Never to be freed.
alignas(16) char early[1024 * 1024];
std::size_t early_size = 0;

void* Early(std::size_t size) noexcept {
  const std::size_t at = early_size;
  early_size += (size + 15) & ~std::size_t{15};
  return early_size <= sizeof early ? early + at : nullptr;
}
bool IsEarly(const void* at) noexcept { return at >= early && at < early + sizeof early; }

template <class F>
F* Next(const char* name) noexcept {
  const bool outer = within;
  within = true;
  void* const found = ::dlsym(RTLD_NEXT, name);
  within = outer;
  return reinterpret_cast<F*>(found);
}

/// operator new's own way: the handler is asked as long as there is one.
template <class F>
void* New(F&& allocate) {
  while (Fails()) {
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
  const bool outer = within;
  within = true;
  void* const memory = allocate();
  within = outer;
  return memory;
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
  static std::atomic<void* (*)(std::size_t)> next{nullptr};
  if (!ready || (within && next.load(std::memory_order_relaxed) == nullptr)) return Early(size);
  auto* function = next.load(std::memory_order_relaxed);
  if (function == nullptr) next = function = Next<void*(std::size_t)>("malloc");
  return Fails() ? nullptr : function(size);
}

void* calloc(std::size_t count, std::size_t size) {
  static std::atomic<void* (*)(std::size_t, std::size_t)> next{nullptr};
  if (!ready || (within && next.load(std::memory_order_relaxed) == nullptr)) return Early(count * size);
  auto* function = next.load(std::memory_order_relaxed);
  if (function == nullptr) next = function = Next<void*(std::size_t, std::size_t)>("calloc");
  return Fails() ? nullptr : function(count, size);
}

void* realloc(void* old, std::size_t size) {
  static std::atomic<void* (*)(void*, std::size_t)> next{nullptr};
  if (old == nullptr) return malloc(size);
  if (IsEarly(old)) {
    void* const copy = malloc(size);
    const auto most = static_cast<std::size_t>(early + sizeof early - static_cast<char*>(old));
    return copy == nullptr ? nullptr : std::memcpy(copy, old, size < most ? size : most);
  }
  auto* function = next.load(std::memory_order_relaxed);
  if (function == nullptr) next = function = Next<void*(void*, std::size_t)>("realloc");
  return Fails() ? nullptr : function(old, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  static auto* const kNext = Next<int(void**, std::size_t, std::size_t)>("posix_memalign");
  return Fails() ? ENOMEM : kNext(memory, alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  static auto* const kNext = Next<void*(std::size_t, std::size_t)>("aligned_alloc");
  return Fails() ? nullptr : kNext(alignment, size);
}

void free(void* memory) {
  static std::atomic<void (*)(void*)> next{nullptr};
  auto* function = next.load(std::memory_order_relaxed);
  if (IsEarly(memory)) return;
  if (function == nullptr) next = function = Next<void(void*)>("free");
  function(memory);
}
}

void* operator new(std::size_t size) {
  static auto* const kNext = Next<void*(std::size_t)>("_Znwm");
  return New([&] { return kNext(size); });
}

void* operator new[](std::size_t size) {
  static auto* const kNext = Next<void*(std::size_t)>("_Znam");
  return New([&] { return kNext(size); });
}

void* operator new(std::size_t size, std::align_val_t alignment) {
  static auto* const kNext = Next<void*(std::size_t, std::align_val_t)>("_ZnwmSt11align_val_t");
  return New([&] { return kNext(size, alignment); });
}
