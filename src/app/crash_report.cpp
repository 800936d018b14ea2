#include "app/crash_report.hpp"

#include <elf.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

namespace penstock::app {
namespace {

constexpr int kFramesMax = 64;
constexpr std::size_t kModulesMax = 64;
constexpr std::size_t kNameMax = 31;

struct Crash {
  int number;
  std::string_view name;
};
constexpr Crash kCrashes[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}, {SIGABRT, "SIGABRT"}};

/// Owned by one Worker. Text in a place of its own: nothing is allocated in a handler. What does not fit is left out.
class Line {
 public:
  Line& Put(std::string_view text) noexcept {
    const std::size_t n = std::min(text.size(), bytes_.size() - size_);
    std::memcpy(bytes_.data() + size_, text.data(), n);
    size_ += n;
    return *this;
  }
  Line& PutNumber(std::uint64_t number, unsigned radix) noexcept {
    std::array<char, 20> digits;
    std::size_t at = digits.size();
    do {
      digits[--at] = "0123456789abcdef"[number % radix];
      number /= radix;
    } while (number != 0);
    return Put({digits.data() + at, digits.size() - at});
  }
  Line& PutAddress(std::uint64_t address) noexcept { return Put("0x").PutNumber(address, 16); }
  template <std::size_t kSize>
  void CopyTo(std::array<char, kSize>& text) const noexcept {
    const std::size_t n = std::min(size_, kSize - 1);
    std::memcpy(text.data(), bytes_.data(), n);
    text[n] = 0;
  }
  void Write(int fd) noexcept {
    // The end of a line has its place whatever was left out.
    if (size_ == bytes_.size()) --size_;
    Put("\n");
    [[maybe_unused]] const ssize_t n = ::write(fd, bytes_.data(), size_);
  }

 private:
  // A pipe takes so much in one piece (PIPE_BUF): no other thread's line gets into it.
  std::array<char, 4096> bytes_;
  std::size_t size_ = 0;
};

/// Immutable. The program or a library, where it lies in memory.
struct LoadedModule {
  std::uintptr_t begin = 0, end = 0, base = 0;
  std::array<char, kNameMax + 1> name{};
};

struct CrashReport {
  std::array<LoadedModule, kModulesMax> modules;
  std::size_t module_count = 0;
  std::array<char, 256> build{};  ///< what was built, and the linker's id of it
  std::atomic<pid_t> reporter{0};
  Line line;
};
// A handler has no other way to it.
CrashReport g_report;

void PutModuleAddress(Line& line, std::uintptr_t address) noexcept {
  for (std::size_t i = 0; i < g_report.module_count; ++i) {
    const LoadedModule& module = g_report.modules[i];
    if (address < module.begin || address >= module.end) continue;
    line.Put(" ").Put(module.name.data()).Put("+").PutAddress(address - module.base);
    return;
  }
  line.Put(" ").PutAddress(address);
}

std::uintptr_t InstructionOf(const void* context) noexcept {
  [[maybe_unused]] const auto* const registers = &static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(registers->gregs[REG_RIP]);
#elif defined(__aarch64__)
  return registers->pc;
#else
  return 0;
#endif
}

void PutHead(Line& line, int number, const siginfo_t& told) noexcept {
  line.Put("penstock: ");
  for (const Crash& crash : kCrashes) {
    if (crash.number == number) line.Put(crash.name);
  }
  if (told.si_code > 0) {
    line.Put(" at ").PutAddress(reinterpret_cast<std::uintptr_t>(told.si_addr));
  } else {
    line.Put(" sent by process ").PutNumber(static_cast<std::uint64_t>(told.si_pid), 10);
  }
  std::array<char, 16> thread{};
  ::prctl(PR_GET_NAME, thread.data());
  line.Put(" in thread ").Put(thread.data()).Put("; ").Put(g_report.build.data()).Put("; stack:");
}

/// The stack from the instruction that failed on: what lies above it is this handler.
void PutStack(Line& line, std::uintptr_t failed) noexcept {
  PutModuleAddress(line, failed);
  std::array<void*, kFramesMax> frames;
  const int count = ::backtrace(frames.data(), kFramesMax);
  const auto end = frames.begin() + count;
  auto from = std::find_if(frames.begin(), end,
                           [failed](void* frame) { return reinterpret_cast<std::uintptr_t>(frame) == failed; });
  from = from == end ? frames.begin() : from + 1;
  // A caller's address is that of the instruction behind its call; one less is within the call.
  for (; from != end; ++from) PutModuleAddress(line, reinterpret_cast<std::uintptr_t>(*from) - 1);
}

void Die(int number) noexcept {
  ::signal(number, SIG_DFL);
  ::syscall(SYS_tgkill, ::getpid(), ::gettid(), number);
}

[[noreturn]] void WaitForTheEnd() noexcept {
  for (;;) ::pause();
}

void OnCrash(int number, siginfo_t* told, void* context) {
  const pid_t self = ::gettid();
  pid_t first = 0;
  if (!g_report.reporter.compare_exchange_strong(first, self)) {
    // Another thread's end is this one's too.
    if (first != self) WaitForTheEnd();
    // The stack could not be followed. What is known is told.
    g_report.line.Write(STDERR_FILENO);
    Die(number);
  }
  PutHead(g_report.line, number, *told);
  PutStack(g_report.line, InstructionOf(context));
  g_report.line.Write(STDERR_FILENO);
  Die(number);
}

/// The linker's id among the notes of the program, in hexadecimal.
void PutBuildId(Line& line, const dl_phdr_info& program) noexcept {
  constexpr auto kAligned = [](std::size_t size) { return (size + 3) & ~std::size_t{3}; };
  for (int i = 0; i < program.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = program.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const auto* at = std::bit_cast<const unsigned char*>(program.dlpi_addr + segment.p_vaddr);
    const auto* const end = at + segment.p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const unsigned char* const name = at + sizeof note;
      const unsigned char* const id = name + kAligned(note.n_namesz);
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
        for (std::size_t byte = 0; byte < note.n_descsz; ++byte) {
          line.PutNumber(id[byte] / 16u, 16).PutNumber(id[byte] % 16u, 16);
        }
        return;
      }
      at = id + kAligned(note.n_descsz);
    }
  }
  line.Put("unknown");
}

int AddModule(dl_phdr_info* loaded, std::size_t, void* build_id) {
  if (g_report.module_count == kModulesMax) return 1;
  const bool program = g_report.module_count == 0;  // it comes first (dl_iterate_phdr(3)), without a name
  LoadedModule& module = g_report.modules[g_report.module_count++];
  module.base = loaded->dlpi_addr;
  module.begin = UINTPTR_MAX;
  for (int i = 0; i < loaded->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = loaded->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    module.begin = std::min<std::uintptr_t>(module.begin, loaded->dlpi_addr + segment.p_vaddr);
    module.end = std::max<std::uintptr_t>(module.end, loaded->dlpi_addr + segment.p_vaddr + segment.p_memsz);
  }
  std::string_view name = program ? std::string_view(program_invocation_short_name) : loaded->dlpi_name;
  name.remove_prefix(name.rfind('/') + 1);
  name.copy(module.name.data(), kNameMax);
  if (program) PutBuildId(*static_cast<Line*>(build_id), *loaded);
  return 0;
}

}  // namespace

void InstallCrashReport(std::string_view build) {
  g_report.module_count = 0;
  Line text;
  text.Put(build).Put(", build id ");
  ::dl_iterate_phdr(AddModule, &text);
  text.CopyTo(g_report.build);
  // The first call loads the unwinder.
  std::array<void*, 1> frame;
  ::backtrace(frame.data(), 1);
  struct sigaction action {};
  action.sa_sigaction = OnCrash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;  // a crash of the report itself is to be noticed
  for (const Crash& crash : kCrashes) ::sigaction(crash.number, &action, nullptr);
}

CrashStack::CrashStack() {
  if (!kCrashReports) return;
  bytes_ = std::make_unique<std::byte[]>(kBytes);
  stack_t stack{};
  stack.ss_sp = bytes_.get();
  stack.ss_size = kBytes;
  ::sigaltstack(&stack, nullptr);
}

CrashStack::~CrashStack() {
  if (bytes_ == nullptr) return;
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  ::sigaltstack(&none, nullptr);
}

}  // namespace penstock::app
