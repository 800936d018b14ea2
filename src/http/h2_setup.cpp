#include <cstring>

#include "http/h2_state.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::http {
namespace {

void* Malloc(std::size_t size, void* memory) { return static_cast<H2Memory*>(memory)->Allocate(size); }
void Free(void* block, void* memory) { static_cast<H2Memory*>(memory)->Free(block); }
void* Calloc(std::size_t count, std::size_t size, void* memory) {
  if (size != 0 && count > H2Memory::kBlockMax / size) return nullptr;
  void* block = static_cast<H2Memory*>(memory)->Allocate(count * size);
  if (block != nullptr) std::memset(block, 0, count * size);
  return block;
}
void* Realloc(void* block, std::size_t size, void* memory) {
  return static_cast<H2Memory*>(memory)->Reallocate(block, size);
}

/// One table for all sessions; nghttp2 copies it into each.
const nghttp2_session_callbacks* Callbacks() {
  static const nghttp2_session_callbacks* const kTable = [] {
    nghttp2_session_callbacks* callbacks = nullptr;
    PENSTOCK_ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0);
    SetReceiveCallbacks(callbacks);
    SetSendCallbacks(callbacks);
    return callbacks;
  }();
  return kTable;
}

nghttp2_option* MakeOptions(const H2Limits& limits) {
  nghttp2_option* option = nullptr;
  if (nghttp2_option_new(&option) != 0) return nullptr;
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  // nghttp2's own limit (1000, 33/s) reads the real clock, answers INTERNAL_ERROR, and could only be reached where an
  // operator set resets_received above it: ours is the one that counts.
  nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, 0);
  nghttp2_option_set_max_continuations(option, limits.continuations);
  nghttp2_option_set_max_outbound_ack(option, limits.control_frames_queued);
  nghttp2_option_set_max_settings(option, 32);
  nghttp2_option_set_max_deflate_dynamic_table_size(option, 4096);
  nghttp2_option_set_max_reserved_remote_streams(option, 0);
  return option;
}

int SubmitSettings(nghttp2_session* session, bool server, const H2Limits& limits) {
  nghttp2_settings_entry entries[3];
  std::size_t count = 0;
  if (server) {
    entries[count++] = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams};
  } else {
    entries[count++] = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
  }
  entries[count++] = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.stream_window};
  entries[count++] = {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits.header_bytes)};
  // Not NO_RFC7540_PRIORITIES: the scheduler without the tree saves 1 % of a request, but sends one long body to its
  // end before the next, and in 1.52 it frees an item twice when it runs out of memory.
  return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries, count);
}

}  // namespace

nghttp2_session* OpenH2Session(H2State& state, const H2Limits& limits) {
  nghttp2_option* option = MakeOptions(limits);
  if (option == nullptr) return nullptr;
  nghttp2_mem memory{&state.memory, Malloc, Free, Calloc, Realloc};
  nghttp2_session* session = nullptr;
  const auto open = state.server() ? nghttp2_session_server_new3 : nghttp2_session_client_new3;
  const int opened = open(&session, Callbacks(), &state, option, &memory);
  nghttp2_option_del(option);
  if (opened != 0) return nullptr;
  if (SubmitSettings(session, state.server(), limits) != 0 ||
      nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                            static_cast<std::int32_t>(limits.connection_window)) != 0) {
    nghttp2_session_del(session);
    return nullptr;
  }
  return session;
}

}  // namespace penstock::http
