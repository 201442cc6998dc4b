// The declarations of Apple's SwiftUI that the example app uses, without their work (see Security.swift).

@_exported import Foundation
#if canImport(FoundationNetworking)
@_exported import FoundationNetworking
#endif

@MainActor public protocol View {}

@MainActor @resultBuilder public enum ViewBuilder {
    public static func buildBlock<each Content: View>(_ content: repeat each Content) -> EmptyView { EmptyView() }
}
public struct EmptyView: View { public init() {} }
public struct Text: View { public init(_ text: String) {} }
public struct VStack<Content: View>: View { public init(@ViewBuilder content: () -> Content) {} }
public struct Button: View { public init(_ title: String, action: @escaping @MainActor () -> Void) {} }

@MainActor public protocol Scene {}
@MainActor @resultBuilder public enum SceneBuilder { public static func buildBlock<Content: Scene>(_ content: Content) -> Content { content } }
public struct WindowGroup<Content: View>: Scene { public init(@ViewBuilder content: () -> Content) {} }
@MainActor public protocol App {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
    init()
}
extension App { public static func main() {} }

@MainActor public protocol ObservableObject: AnyObject {}
@propertyWrapper public struct Published<Value> {
    public var wrappedValue: Value
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
}
@MainActor @propertyWrapper public struct StateObject<Value: ObservableObject> {
    public var wrappedValue: Value
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
}
