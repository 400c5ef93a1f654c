// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "HotlinkLoader",
  products: [.library(name: "hotlink_loader", type: .static, targets: ["HotlinkLoader"])],
  dependencies: [
    .package(name: "HotLink", path: "../.."),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .target(name: "CHotlinkLoader"),
    .target(
      name: "HotlinkLoader",
      dependencies: [
        "CHotlinkLoader",
        .product(name: "LoaderEngine", package: "HotLink"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("ExistentialAny"),
      ]),
  ]
)
