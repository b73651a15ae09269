// Measures libmodsecurity: `libmodsecurity RULES ROUNDS REQUEST…`. Prints for each request its name, median and 99th percentile in µs, and the status.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

int main(int count, char **arguments) {
  modsecurity::ModSecurity engine;
  engine.setServerLogCb([](void *, const void *) {});
  modsecurity::RulesSet rules;
  if (rules.loadFromUri(arguments[1]) < 0) {
    std::fprintf(stderr, "%s\n", rules.getParserError().c_str());
    return 1;
  }
  for (int index = 3; index < count; index++) {
    std::ifstream file(arguments[index], std::ios::binary);
    std::string raw((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    size_t end = raw.find("\r\n\r\n");
    std::string body = raw.substr(end + 4);
    std::istringstream head(raw.substr(0, end));
    std::string method, target, protocol, line;
    head >> method >> target >> protocol;
    std::getline(head, line);
    std::vector<std::pair<std::string, std::string>> headers;
    while (std::getline(head, line)) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      size_t colon = line.find(": ");
      if (colon != std::string::npos) headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
    auto run = [&] {
      modsecurity::Transaction transaction(&engine, &rules, nullptr);
      transaction.processConnection("127.0.0.1", 12345, "127.0.0.1", 80);
      transaction.processURI(target.c_str(), method.c_str(), "1.1");
      for (auto &header : headers) transaction.addRequestHeader(header.first, header.second);
      transaction.processRequestHeaders();
      transaction.appendRequestBody(reinterpret_cast<const unsigned char *>(body.data()), body.size());
      transaction.processRequestBody();
      modsecurity::ModSecurityIntervention found{200, 0, nullptr, nullptr, 0};
      transaction.intervention(&found);
      std::free(found.log);
      std::free(found.url);
      return found.status;
    };
    int rounds = std::max(std::atoi(arguments[2]) / (body.size() > 8000 ? 10 : 1), 5);
    for (int warm = 0; warm < 3; warm++) run();
    std::vector<double> times;
    for (int round = 0; round < rounds; round++) {
      auto began = std::chrono::steady_clock::now();
      run();
      times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - began).count());
    }
    std::sort(times.begin(), times.end());
    std::printf("%s\t%.1f\t%.1f\t%d\n", arguments[index], times[times.size() / 2], times[times.size() * 99 / 100], run());
  }
}
