// The peer of J4: LLVM's ORC as a program that uses it would: one session, ObjectLinkingLayer (JITLink), unwind tables
// registered, names of the process by a generator. Reads commands, one a line, and answers each with one line:
//
//     set LIST SYMBOL     links every object that the file LIST names, looks up one symbol of each and calls SYMBOL
//                         -> nanoseconds, bytes of memory added, mappings added, what SYMBOL returned
//     keep LIST SYMBOL    the same, and stays linked for `edit`
//     archive FILE OBJECT SYMBOL  links all members of an archive and an object, and calls SYMBOL -> as set
//     open LIBRARY        opens a shared library in the process -> 0
//     edit OLD NEW SYMBOL removes the object OLD, adds NEW, looks SYMBOL up and calls it -> nanoseconds, its value
//
// Files are read before time counts. A LIST has lines `OBJECT SYMBOL`: what is looked up so that the object is linked.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
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
#include "llvm/Object/Archive.h"
#include "llvm/Object/ObjectFile.h"
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

// A symbol by which an object is linked: a strong one of its own, else a weak one, else none.
static std::string symbolOf(MemoryBufferRef bytes) {
  auto object = check(object::ObjectFile::createObjectFile(bytes));
  std::string weak = "-";
  for (auto &symbol : object->symbols()) {
    uint32_t flags = check(symbol.getFlags());
    if ((flags & object::SymbolRef::SF_Undefined) || !(flags & object::SymbolRef::SF_Global))
      continue;
    auto name = check(symbol.getName()).str();
    if (!(flags & object::SymbolRef::SF_Weak)) return name;
    weak = name;
  }
  return weak;
}

// JITLink knows no STV_INTERNAL, which means to it what STV_HIDDEN means. Lua's archive is full of it.
static void hideInternal(char *bytes) {
  auto *header = reinterpret_cast<Elf64_Ehdr *>(bytes);
  auto *sections = reinterpret_cast<Elf64_Shdr *>(bytes + header->e_shoff);
  for (int i = 0; i < header->e_shnum; i++) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    auto *symbols = reinterpret_cast<Elf64_Sym *>(bytes + sections[i].sh_offset);
    for (size_t k = 0; k < sections[i].sh_size / sizeof(Elf64_Sym); k++)
      if (ELF64_ST_VISIBILITY(symbols[k].st_other) == STV_INTERNAL)
        symbols[k].st_other = symbols[k].st_other - STV_INTERNAL + STV_HIDDEN;
  }
}

static std::vector<Input> readArchive(const std::string &path, const std::string &object) {
  std::vector<Input> inputs;
  inputs.push_back({object, "-", read(object)});
  auto bytes = read(path);
  auto archive = check(object::Archive::create(bytes->getMemBufferRef()));
  Error error = Error::success();
  for (auto &member : archive->children(error)) {
    auto content = check(member.getMemoryBufferRef());
    auto name = path + "(" + content.getBufferIdentifier().str() + ":" +
                std::to_string(inputs.size()) + ")";
    auto copy = WritableMemoryBuffer::getNewUninitMemBuffer(content.getBufferSize(), name);
    memcpy(copy->getBufferStart(), content.getBufferStart(), content.getBufferSize());
    hideInternal(copy->getBufferStart());
    inputs.push_back({name, symbolOf(content), std::move(copy)});
  }
  check(std::move(error));
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
    // In no shared library: libc_nonshared.a has it.
    check(library.define(absoluteSymbols(
        {{session.intern("atexit"),
          {ExecutorAddr::fromPtr(&atexit), JITSymbolFlags::Exported | JITSymbolFlags::Weak}}})));
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

static std::unique_ptr<Session> link(std::vector<Input> inputs, const std::string &symbol) {
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
    if (verb == "set") link(readList(first), second);
    else if (verb == "keep") kept = link(readList(first), second);
    else if (verb == "archive") link(readArchive(first, second), third);
    else if (verb == "open") {
      if (!dlopen(first.c_str(), RTLD_NOW | RTLD_GLOBAL)) return 2;
      std::cout << 0 << std::endl;
    }
    else if (verb == "edit" && kept) edit(*kept, first, second, third);
    else return 2;
  }
}
