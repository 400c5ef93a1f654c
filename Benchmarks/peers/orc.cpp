// The peer of J4: LLVM's ORC as a program that uses it would: one session, ObjectLinkingLayer (JITLink), unwind tables
// registered, names of the process by a generator. Reads commands, one a line, and answers each with one line:
//
//     set LIST SYMBOL     links every object that the file LIST names, looks up one symbol of each and calls SYMBOL
//                         -> nanoseconds, bytes of memory added, mappings added, what SYMBOL returned
//     keep LIST SYMBOL    the same, and stays linked for `edit`
//     edit OLD NEW SYMBOL removes the object OLD, adds NEW, looks SYMBOL up and calls it -> nanoseconds, its value
//
// Files are read before time counts. A LIST has lines `OBJECT SYMBOL`: what is looked up so that the object is linked.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include "llvm/ExecutionEngine/JITLink/EHFrameSupport.h"
#include "llvm/ExecutionEngine/Orc/Core.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/ExecutorProcessControl.h"
#include "llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace llvm::orc;

static ExitOnError check("orc: ");

static uint64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

static uint64_t residentBytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

static uint64_t mappings() {
  std::ifstream file("/proc/self/maps");
  std::string line;
  uint64_t count = 0;
  while (std::getline(file, line)) count++;
  return count;
}

struct Input {
  std::string path, symbol;
  std::unique_ptr<MemoryBuffer> bytes;
};

static std::unique_ptr<MemoryBuffer> read(const std::string &path) {
  // Not mapped: the same bytes in memory that the other side has.
  return check(errorOrToExpected(MemoryBuffer::getFile(path, false, false, true)));
}

static std::vector<Input> readList(const std::string &list) {
  std::vector<Input> inputs;
  std::ifstream file(list);
  std::string path, symbol;
  while (file >> path >> symbol) inputs.push_back({path, symbol, read(path)});
  return inputs;
}

struct Session {
  ExecutionSession session;
  ObjectLinkingLayer layer;
  JITDylib &library;
  std::map<std::string, ResourceTrackerSP> trackers;

  Session()
      : session(check(SelfExecutorProcessControl::Create())), layer(session),
        library(session.createBareJITDylib("main")) {
    layer.addPlugin(std::make_unique<EHFrameRegistrationPlugin>(
        session, std::make_unique<jitlink::InProcessEHFrameRegistrar>()));
    library.addGenerator(check(DynamicLibrarySearchGenerator::GetForCurrentProcess('\0')));
  }
  ~Session() { check(session.endSession()); }

  void add(const std::string &path, std::unique_ptr<MemoryBuffer> bytes) {
    auto tracker = library.createResourceTracker();
    check(layer.add(tracker, std::move(bytes)));
    trackers[path] = tracker;
  }

  uint64_t find(const std::string &symbol) {
    auto found = check(session.lookup({&library}, session.intern(symbol)));
    return found.getAddress().getValue();
  }

  void findAll(const std::vector<Input> &inputs) {
    SymbolLookupSet wanted;
    for (auto &input : inputs)
      if (input.symbol != "-") wanted.add(session.intern(input.symbol));
    check(session.lookup({{&library, JITDylibLookupFlags::MatchAllSymbols}}, std::move(wanted)));
  }
};

static long call(uint64_t address) { return reinterpret_cast<int (*)()>(address)(); }

static std::unique_ptr<Session> link(const std::string &list, const std::string &symbol) {
  auto inputs = readList(list);
  uint64_t memory = residentBytes(), maps = mappings();
  uint64_t start = now();
  auto made = std::make_unique<Session>();
  for (auto &input : inputs) made->add(input.path, std::move(input.bytes));
  made->findAll(inputs);
  long value = symbol == "-" ? 0 : call(made->find(symbol));
  uint64_t end = now();
  std::cout << end - start << ' ' << int64_t(residentBytes() - memory) << ' '
            << int64_t(mappings() - maps) << ' ' << value << std::endl;
  return made;
}

static void edit(Session &kept, const std::string &old, const std::string &fresh,
                 const std::string &symbol) {
  auto bytes = read(fresh);
  uint64_t start = now();
  check(kept.trackers[old]->remove());
  kept.trackers.erase(old);
  kept.add(fresh, std::move(bytes));
  long value = call(kept.find(symbol));
  uint64_t end = now();
  std::cout << end - start << ' ' << value << std::endl;
}

int main() {
  std::unique_ptr<Session> kept;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string verb, first, second, third;
    words >> verb >> first >> second >> third;
    if (verb == "set") link(first, second);
    else if (verb == "keep") kept = link(first, second);
    else if (verb == "edit" && kept) edit(*kept, first, second, third);
    else return 2;
  }
}
