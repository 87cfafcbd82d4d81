import Glibc
import NodeAgent

@main
struct Main {
  static func main() {
    exit(Agent.main(arguments: CommandLine.arguments))
  }
}
