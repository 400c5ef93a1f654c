// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
  name: "HotLink",
  products: [
    .library(name: "LoaderEngine", targets: ["LoaderEngine"]),
    .library(name: "HotLink", targets: ["HotLink"]),
    .library(name: "HotLinkWatch", targets: ["HotLinkWatch"]),
    .executable(name: "hotlink", targets: ["HotLinkRunner"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .systemLibrary(name: "CLibElf", pkgConfig: "libelf", providers: [.apt(["libelf-dev"])]),
    .systemLibrary(name: "CLibDW", pkgConfig: "libdw", providers: [.apt(["libdw-dev"])]),
    .systemLibrary(name: "CZydis", providers: [.apt(["libzydis-dev"])]),
    .systemLibrary(name: "CInotifyTools", providers: [.apt(["libinotifytools0-dev"])]),
    .target(name: "CLoaderSupport"),
    .target(
      name: "LoaderEngine",
      dependencies: [
        "CLoaderSupport", "CLibElf", "CZydis",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .target(
      name: "HotLink",
      dependencies: [
        "LoaderEngine", "CLoaderSupport", "CLibDW",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .target(
      name: "HotLinkWatch",
      dependencies: [
        "HotLink", "CInotifyTools",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "HotLinkRunner",
      dependencies: [
        "LoaderEngine", "HotLink", "HotLinkWatch", "CLoaderSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .target(name: "TestFixtures", path: "Tests/TestFixtures", swiftSettings: swiftSettings),
    // Without package access: what a caller of the library can do.
    .target(
      name: "CallersMapper", dependencies: ["LoaderEngine"], path: "Examples/own-mapper",
      exclude: ["README.md"],
      packageAccess: false, swiftSettings: swiftSettings),
    .target(
      name: "Calculator",
      dependencies: ["LoaderEngine", .product(name: "SystemPackage", package: "swift-system")],
      path: "Examples/jit-compiler/Calculator",
      packageAccess: false, swiftSettings: swiftSettings),
    .executableTarget(
      name: "jit-compiler", dependencies: ["Calculator"], path: "Examples/jit-compiler/Main",
      packageAccess: false, swiftSettings: swiftSettings),
    .testTarget(
      name: "LoaderEngineTests",
      dependencies: [
        "LoaderEngine", "CLoaderSupport", "TestFixtures", "CallersMapper", "Calculator",
      ],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "HotLinkTests", dependencies: ["HotLink", "LoaderEngine", "TestFixtures"],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "HotLinkWatchTests", dependencies: ["HotLinkWatch", "HotLink"],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "RunnerTests", dependencies: ["HotLinkRunner"], swiftSettings: swiftSettings),
    .testTarget(name: "PolicyTests", swiftSettings: swiftSettings),
  ]
)
