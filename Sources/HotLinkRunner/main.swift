print("hotlink")
