// Beast's parser over the same request, for ADR 0002. It keeps fields in allocated nodes and accepts some of
// what we must refuse, so it would still need a strict pass before it; neither is counted here.

#include <benchmark/benchmark.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>

#include "http/request_text.hpp"

namespace penstock::http {
namespace {

void BeastParseRequest(benchmark::State& state) {
  namespace beast = boost::beast;
  std::uint64_t checksum = 0;
  std::optional<beast::http::request_parser<beast::http::buffer_body>> parser;
  for (auto _ : state) {
    parser.emplace();
    boost::system::error_code error;
    parser->put(boost::asio::buffer(kRequest), error);
    if (error || !parser->is_header_done()) {
      state.SkipWithError("not parsed");
      break;
    }
    checksum += parser->get().target().size() + parser->get()[beast::http::field::authorization].size();
  }
  benchmark::DoNotOptimize(checksum);
  state.SetBytesProcessed(static_cast<std::int64_t>(kRequestHead.size()) * state.iterations());
}
BENCHMARK(BeastParseRequest);

}  // namespace
}  // namespace penstock::http
